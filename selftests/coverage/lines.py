#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Usage: lines.py MODULE LOG
#
# From the module and what in-vm.sh has printed: for each line of kmod/ that a block of
# the module begins at, "FILE LINE 1" if one of these blocks has run, else "FILE LINE 0".
import re
import subprocess
import sys


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def blocks(module):
    """The return addresses of all calls, as (section, offset)."""
    section = None
    for line in output("objdump", "-r", module).splitlines():
        found = re.match(r"RELOCATION RECORDS FOR \[(.*)\]", line)
        if found:
            section = found[1]
        found = re.match(r"([0-9a-f]+) \S+ +vum_cover_trace_pc", line)
        if found and "text" in section and "debug" not in section:
            yield section, int(found[1], 16) + 4


def ran(log):
    """The blocks that have run, as (section, offset)."""
    sections, hits = {}, set()
    for line in open(log, errors="replace"):
        word = line.split()
        if len(word) == 3 and word[0] == "section":
            sections[word[1]] = int(word[2], 16)
        elif len(word) == 2 and word[0] == "block":
            # In whichever section it is, the offset is right for that one only.
            hits.update((name, int(word[1], 16) - at) for name, at in sections.items())
    return hits


def places(module, section, offsets):
    """The source line of each offset: what was inlined counts where it is written."""
    said = output("addr2line", "-e", module, "-j", section, *[hex(o - 5) for o in offsets])
    for offset, line in zip(offsets, said.splitlines()):
        found = re.search(r"(kmod/[^/]*\.[ch]):(\d+)", line)
        yield offset, found and (found[1], int(found[2]))


def main(module, log):
    hits = ran(log)
    by_section, lines = {}, {}
    for section, offset in blocks(module):
        by_section.setdefault(section, []).append(offset)
    for section, offsets in by_section.items():
        for offset, place in places(module, section, offsets):
            if place:
                hit = (section, offset) in hits
                lines[place] = lines.get(place, False) or hit
    for (file, line), hit in sorted(lines.items()):
        print(file, line, int(hit))


main(*sys.argv[1:])
