#!/usr/bin/env python3
"""Names the innermost loops that multiply vectors and store some on the stack, where GCC has left an
array of sums in memory: stack-stores.py OBJECT... (ops/kernels/*.o of a build).

Exits with 1 if it finds one. A loop with few stores for many multiplications may have too many live
vectors; one with a store for each multiplication wants its loops over sums unrolled.
"""

import re
import subprocess
import sys

JUMP = re.compile(r"j\w+\s+([0-9a-f]+)")
MULTIPLIES = re.compile(r"vfn?m")
STORES = re.compile(r"vmov\w+\s+%[yz]mm\d+,.*\(%r[sb]p")


def functions(path):
    listing = subprocess.run(
        ["objdump", "-d", "-C", "--no-show-raw-insn", path], check=True, capture_output=True,
        text=True,
    ).stdout  # fmt: skip
    for block in re.split(r"\n(?=[0-9a-f]+ <)", listing):
        head = re.match(r"[0-9a-f]+ <(.*)>:", block)
        if head:
            yield head[1], re.findall(r"^\s*([0-9a-f]+):\s+(.*)$", block, re.M)


def inner_loops(body):
    at = {address: i for i, (address, _) in enumerate(body)}
    loops = []
    for i, (_, text) in enumerate(body):
        jump = JUMP.match(text)
        if jump and at.get(jump[1], i + 1) <= i:
            loops.append((at[jump[1]], i))
    for begin, end in loops:
        if not any(begin <= b and e <= end and (b, e) != (begin, end) for b, e in loops):
            yield [text for _, text in body[begin : end + 1]]


def main():
    found = False
    for path in sys.argv[1:]:
        for name, body in functions(path):
            for loop in inner_loops(body):
                multiplications = sum(bool(MULTIPLIES.match(text)) for text in loop)
                stores = sum(bool(STORES.match(text)) for text in loop)
                if multiplications and stores:
                    found = True
                    print(f"{stores:3} stores, {multiplications:3} multiplications: {name}")
    sys.exit(found)


if __name__ == "__main__":
    main()
