# SPDX-License-Identifier: GPL-2.0
# The report for people, in Markdown.

def key: [.name, .clock, .path, .variant] | map(select(. != "")) | join("/");

def digits:
	if . == null then "-"
	elif . >= 100 then round | tostring
	elif . >= 10 then . * 10 | round / 10 | tostring
	else . * 100 | round / 100 | tostring end;

# Under -icount a nanosecond is an instruction.
def figure($s; $value):
	if $value == null then "-"
	elif $s.unit == "ns" and $s.clock == "icount" then
		"\($value / 1000 | digits) k"
	elif $s.unit == "ns" and $value >= 1000 then
		"\($value / 1000 | digits) µs"
	else "\($value | digits) \($s.unit)" end;

def verdict:
	if . == [] then ""
	else map(if .met then "met" else "**missed**" end) | join(", ") end;

def row($report):
	. as $s
	| key as $key
	| [$report.targets[] | select(.key == $key and .value != null)] as $targets
	| "| \(.name) | \(.clock) | \(.path)\(if .variant == "" then ""
		else ", \(.variant)" end) | \(figure($s; .p50)) | "
	  + "\(figure($s; .p99)) | \(figure($s; .p999)) | \(.ctxsw | digits) | "
	  + "\($report.ratios[$key] // "") | \($targets | map(.target) | join(", ")) | "
	  + "\($targets | verdict) |";

# Those that are a quotient of two rows.
def derived($report):
	.targets[] | select(.value != null)
	| select(.key as $k | [$report.samples[] | key] | index($k) | not)
	| "| \(.key | gsub("/"; " | ")) | - | - | - | - | \(.value) | \(.target) | "
	  + (if .met then "met |" else "**missed** |" end);

# Who does the work, and by how many system calls.
def shares($report):
	[$report.samples[] | select(.name == "split-run")]
	| if . == [] then empty else
		"", "Of those instructions, who executes how many for one `bar-read`, "
		+ "and by which system calls:", "",
		"| path | process | instructions | system calls |", "|---|---|---:|---|",
		(.[] | . as $run
		 | "| \(.path) | \(.variant) | \(figure(.; .p50)) | " + ([$report.samples[]
			| select(.name == "split-calls" and .path == $run.path
				and (.variant | startswith($run.variant + " ")))
			| "\(.variant | split(" ")[1]) \(.p50 | digits)"]
			| join(", ")) + " |")
	  end;

def summary:
	[.targets[] | select(.met == true)] as $met
	| [.targets[] | select(.met == false)] as $missed
	| [.targets[] | select(.met == null)] as $open
	| "\($met | length) targets met, \($missed | length) missed, "
	  + "\($open | length) not measured.",
	  ($missed[] | "- missed: `\(.key)` is \(.value), not \(.target)"),
	  ($open[] | "- not measured: `\(.key)` \(.target)");

. as $report
| "# The bridge against the socket", "",
  (.meta | "Kernel \(.kernel) under QEMU \(.qemu), accelerator \(.accel), "
	+ "\(.cpus) CPUs without pinning, on \(.cpu); \(.date), commit \(.commit). "
	+ "Others kept \(.others // 0) of the host's CPUs busy meanwhile"
	+ (if (.others // 0) > 0.1 then
		": **what the wall's clock says is of them, too**."
	   else "." end)),
  "",
  "Ratios are bridge : direct, p50 of the same run, interleaved. Clock `wall`: "
  + "time in that VM. Clock `icount`: instructions of all processes and the "
  + "kernel between the same two points, in a VM with one CPU. p99 and p99.9 "
  + "are the bad end, also where more is better. Switches: context switches "
  + "per access of consumer, helper and server together.", "",
  summary, "",
  "| name | clock | path | p50 | p99 | p99.9 | switches | ratio | target | |",
  "|---|---|---|---:|---:|---:|---:|---:|---|---|",
  (.samples[] | select(.name | startswith("split-") | not) | row($report)),
  derived($report), shares($report), "",
  "![latency](latency.svg)", "", "![ratios](ratios.svg)"
