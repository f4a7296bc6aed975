#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: plot.sh DIRECTORY
#
# Two pictures of the report.json there: latency.svg, how long a read takes by
# each of the ways, and ratios.svg, all ratios and their targets.
set -eu

dir=$1
report=$dir/report.json
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
style='set encoding utf8
set border 1 lc rgb "#888888"
set tics nomirror textcolor rgb "#444444"
set key off'

# name of the sample, colour
ways() {
	cat <<-END
	direct|	socket, directly	#4477aa
	relay|	bridge, by the helper	#cc7722
	kernel|	bridge, in the kernel	#228833
	kernel|poll_us=50	the same, polling 50 µs	#66aa22
	END
}

# One line for each bucket of a histogram that is 9 % wide: where it ends, and
# its share of the tallest.
histogram() {
	jq -r --arg path "${1%%|*}" --arg variant "${1#*|}" '
		[.samples[] | select(.name == "bar-read" and .clock == "wall" and
			.path == $path and .variant == $variant)][0] // empty
		| [.hist[] | {at: (.[0] | log2 * 8 | ceil), n: .[1]}]
		| group_by(.at) | map({at: .[0].at, n: (map(.n) | add)})
		| (map(.n) | max) as $max
		| (map({key: (.at | tostring), value: .n}) | from_entries) as $n
		| range(.[0].at - 1; .[-1].at + 2) | . as $at
		| "\(pow(2; $at / 8 - 1 / 16) / 1000) \(($n[$at | tostring] // 0) / $max)"
		' "$report"
}

p50() {
	jq -r --arg path "${1%%|*}" --arg variant "${1#*|}" '
		[.samples[] | select(.name == "bar-read" and .clock == "wall" and
			.path == $path and .variant == $variant)][0]
		| .p50 / 1000' "$report"
}

title_of() {
	jq -r '.meta | "kernel \(.kernel | split(" ")[0]), \(.accel), \(.date[:10])"' "$report"
}

latency() {
	plots='' labels='' rows=0
	ways >"$tmp/ways"
	tab=$(printf '\t')
	while IFS=$tab read -r way name colour; do
		histogram "$way" >"$tmp/$rows"
		[ -s "$tmp/$rows" ] || continue
		at=$(p50 "$way")
		plots="$plots${plots:+, }'$tmp/$rows' using 1:(-$rows + 0.8 * \$2):(-$rows) with filledcurves lc rgb '$colour' fs transparent solid 0.6 noborder"
		plots="$plots, '$tmp/$rows' using 1:(-$rows + 0.8 * \$2) with lines lc rgb '$colour' lw 1.5"
		labels="$labels
set arrow from $at,$((-rows)) to $at,$((-rows)) + 0.9 nohead lw 2 lc rgb '$colour' front
set label sprintf('%s: %.0f µs', '$name', $at) at $at,$((-rows)) + 0.93 offset character 0.6,0 left tc rgb '$colour' font ',13' front"
		rows=$((rows + 1))
	done <"$tmp/ways"
	[ $rows -gt 0 ] || return 0
	gnuplot <<-END
	$style
	set terminal svg size 860,$((110 + 130 * rows)) font 'sans,12' background 'white'
	set output '$dir/latency.svg'
	set title "How long a 4-byte read of a device's register takes\n{/*0.8 the line is the median; $(title_of)}"
	set logscale x
	set xrange [$(sort -g "$tmp"/[0-9]* | awk 'NR == 1 { print $1 / 1.3 }'):$(xmax)]
	set yrange [$((1 - rows)).0 - 0.05:1.1]
	set xtics add ('10 µs' 10, '20 µs' 20, '50 µs' 50, '100 µs' 100, '200 µs' 200, '500 µs' 500, '1 ms' 1000, '2 ms' 2000, '5 ms' 5000, '10 ms' 10000)
	set grid xtics lc rgb '#e4e4e4'
	unset ytics
	$labels
	plot $plots
	END
}

# Where all but the last percent has ended, and room for a name.
xmax() {
	jq -r '[.samples[] | select(.name == "bar-read" and .clock == "wall" and
			.path != "floor") | [.p99, .p50 * 6] | min]
		| max * 2 / 1000' "$report"
}

# Bars from 1, to the left where the bridge needs less.
ratios() {
	jq -r '
		. as $r
		| ($r.samples | map({key: ([.name, .clock, .path, .variant]
			| map(select(. != "")) | join("/")), value: .better})
		   | from_entries + {"poll-8-to-1/wall/direct": "higher",
			"poll-8-to-1/wall/relay": "higher",
			"poll-8-to-1/wall/kernel": "higher"}) as $better
		| $r.targets | map(select(.kind == "ratio" and .value != null)) as $t
		| [$r.ratios | to_entries[] | .key as $k
		   | {key: $k, value, targets: [$t[] | select(.key == $k)]}]
		| to_entries[]
		| (.value.targets | map(.met) | if . == [] then 0
		   elif all then 1 else 2 end) as $met
		| "\(.key)\t\(.value.value)\t\($met)\t"
		  + "\(.value.targets | map(.limit as $l | if .op == "+-" then 1 + $l else $l end) | min // "NaN")\t"
		  + .value.key + (if $better[.value.key] == "higher" then " ↑" else "" end)' "$report" >"$tmp/ratios"
	[ -s "$tmp/ratios" ] || return 0
	rows=$(wc -l <"$tmp/ratios")
	gnuplot <<-END
	$style
	set terminal svg size 900,$((150 + 22 * rows)) font 'sans,12' background 'white'
	set output '$dir/ratios.svg'
	set title "What the bridge costs: the socket is 1\n{/*0.85 green meets its target, the black mark; red misses it; grey has none; ↑ where more is better}\n{/*0.85 $(title_of)}"
	set datafile separator '\t'
	set logscale x 2
	set yrange [$rows:-1]
	set xrange [*:*] extend
	set format x '%g'
	set grid xtics lc rgb '#e4e4e4'
	set lmargin 42
	set rmargin 8
	set ytics scale 0 noenhanced
	set arrow from 1,graph 0 to 1,graph 1 nohead lc rgb '#444444' lw 1.5 back
	colour(met) = met == 1 ? 0x228833 : met == 2 ? 0xcc3311 : 0x999999
	plot '$tmp/ratios' using (1):1:(\$2 - 1):(0):(colour(\$3)):ytic(5) with vectors nohead lw 9 lc rgb variable, \\
		'' using 2:1:(colour(\$3)) with points pt 7 ps 0.7 lc rgb variable, \\
		'' using 4:(\$1 - 0.4):(0):(0.8) with vectors nohead lw 2.5 lc rgb '#222222'
	END
}

latency
ratios
