# SPDX-License-Identifier: GPL-2.0
# Samples in, report out. $meta: what they were measured on; $targets: the
# lines of the file targets.

def key: [.name, .clock, .path, .variant] | map(select(. != "")) | join("/");

def round_to($digits): pow(10; $digits) as $f | . * $f | round / $f;

# Later ones replace earlier ones, as two runs of one row may have come in.
def index_by_key: reduce .[] as $s ({}; .[$s | key] = $s);

# What a sample is compared with: the same, but direct, without polling, with one device,
# with one write in a message, with a process for each consumer, or without a neighbour.
def base_of($s; $all):
	if $s.name | test("^(scale-0-idle|split-.*)$") then
		null
	elif $s.name | test("^scale-[0-9]+-idle$") then
		$all["scale-0-idle/\($s.clock)/\($s.path)"]
	elif $s.name | startswith("scale-") then
		null
	elif $s.name == "bar-read-busy" then
		if $s.variant == "" then null
		else $all["\($s.name)/\($s.clock)/\($s.path)"] end
	elif $s.name == "disks-beside" then
		if $s.variant == "alone" then null
		else $all["\($s.name)/\($s.clock)/\($s.path)/alone"] end
	elif $s.name | test("^(disks|guests)-") then
		if $s.variant == "each" then null
		else $all["\($s.name)/\($s.clock)/\($s.path)/each"] end
	elif $s.name == "bar-write-bulk" then
		$all["\($s.name)-single/\($s.clock)/\($s.path)/\($s.variant)"]
	elif $s.name == "bar-write-bulk-single" then
		null
	else
		$all["\($s.name)/\($s.clock)/direct/\($s.variant)"]
		// $all["\($s.name)/\($s.clock)/direct"]
	end;

def ratio_to($s; $base):
	if $base and $base.p50 > 0 then $s.p50 / $base.p50 | round_to(4)
	else empty end;

def ratios($all):
	[$all[] | select(.path == "relay" or .path == "kernel") | . as $s
	 | {key: key, value: ratio_to($s; base_of($s; $all))}]
	+ [$all[] | select(.name == "poll-8") | . as $s
	   | {key: "poll-8-to-1/\(.clock)/\(.path)",
	      value: ratio_to($s; $all["poll-1/\($s.clock)/\($s.path)"])}]
	| from_entries;

def holds($op; $limit):
	if $op == "<=" then . <= $limit
	elif $op == ">=" then . >= $limit
	else (. >= 1 - $limit and . <= 1 + $limit) end;

def parse_targets:
	split("\n")
	| map(select(test("^(ratio|value)")) | [scan("[^\t]+")])
	| map({kind: .[0], pattern: .[1], op: .[2], limit: (.[3] | tonumber)});

# One entry for each figure that a target is about; without a figure, for it.
def judge($all; $ratios):
	. as $t
	| ("^" + ($t.pattern | gsub("\\."; "\\.") | gsub("\\*"; "[^/]*")) + "$")
		as $regex
	| (if .kind == "ratio" then $ratios
	   else $all | map_values(.p50) end) as $figures
	| [$figures | to_entries[] | select(.key | test($regex))] as $found
	| {target: (if .op == "+-" then "1 ± \(.limit)"
		    else "\(.op) \(.limit)" end), kind, op, limit} as $said
	| if $found == [] then
		{key: .pattern, value: null, met: null} + $said
	  else
		$found[] | {key, value, met: (.value | holds($t.op; $t.limit))}
			+ $said
	  end;

index_by_key as $all
| ratios($all) as $ratios
| {meta: $meta,
   ratios: $ratios,
   targets: [$targets | parse_targets[] | judge($all; $ratios)],
   samples: [$all[]]}
