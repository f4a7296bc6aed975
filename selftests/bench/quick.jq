# SPDX-License-Identifier: GPL-2.0
# A small table for people, as plain text.

def heading: .name + (if .variant == "" then "" else " (\(.variant))" end);

def us: if . == null then "-" else . / 1000 | . * 10 | round / 10 | tostring end;

def cell($width): . + (" " * ([$width - length, 1] | max));

def row: (.[0] | cell(28)) + (.[1:] | map(cell(16)) | add);

. as $report
| [.samples[] | select(.path != "direct" and .variant != "no-reply")
   | {name, title: heading}] | unique_by(.title) as $labels
| def at($title; $path):
	[$report.samples[] | select(heading == $title and .path == $path)][0];
  def direct_of($l):
	at($l.title; "direct") // ([$report.samples[]
		| select(.name == $l.name and .path == "direct")][0]);
  def ratio($title; $path):
	at($title; $path) as $s
	| if $s then
		$report.ratios[[$s.name, $s.clock, $s.path, $s.variant]
			| map(select(. != "")) | join("/")] // null
		| if . then " (\(. * 100 | round / 100))" else "" end
	  else "" end;
  (["p50, µs (ratio)", "socket", "relay", "kernel"] | row),
  ($labels[] | . as $l
   | [$l.title, (direct_of($l) | .p50 | us),
      "\(at($l.title; "relay") | .p50 | us)\(ratio($l.title; "relay"))",
      "\(at($l.title; "kernel") | .p50 | us)\(ratio($l.title; "kernel"))"]
   | row)
