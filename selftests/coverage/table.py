#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Usage: table.py FILE...
#
# Merges what lines.py has printed for several worlds: a table, file by file, and in
# .build/coverage/missed each line that has never run, with its text.
import sys


def text_of(file, line):
    text = open(file).read().splitlines()
    return text[line - 1] if line <= len(text) else ""


lines = {}
for name in sys.argv[1:]:
    for text in open(name):
        file, line, hit = text.split()
        place = file, int(line)
        lines[place] = lines.get(place, False) or hit == "1"

files = {}
with open(".build/coverage/missed", "w") as missed:
    for (file, line), hit in sorted(lines.items()):
        count = files.setdefault(file, [0, 0])
        count[hit] += 1
        if not hit:
            print(f"{file}:{line}:{text_of(file, line)}", file=missed)
with open(".build/coverage/table", "w") as table:
    total = [sum(count[i] for count in files.values()) for i in (0, 1)]
    for file, (no, yes) in list(files.items()) + [("all", total)]:
        print(f"{file:28} {yes:5} of {yes + no:5}  {100 * yes / (yes + no):5.1f} %", file=table)
print(open(".build/coverage/table").read(), end="")
