#!/usr/bin/env python3
"""The table of own products beside OpenBLAS's:
products.py BUILD_DIR... [--sizes N,N,...] [--update DECISION.md]

Each build is for other vectors (build-bench, build-bench-avx2); OpenBLAS is told to use vectors as
long. Says where own products are slower.
"""

import argparse
import os
import pathlib
import subprocess

from own_programs import Onnxrun, openblas_core
from pages import update_page

OPERANDS = ["A B", "A B'", "A' B", "A' B'"]


def measured(build, sizes):
    """The kernels, what is said of them, and {(type, size): [(own, OpenBLAS) for OPERANDS]}."""
    kernels = Onnxrun(build / "onnxrun").doctor()["processor"]["kernels"]
    lines = subprocess.check_output(
        [build / "onnxrun_products", *sizes], env=os.environ | openblas_core(kernels), text=True
    ).splitlines()
    rows = {}
    for line in lines[4:]:
        kind, size, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[kind, size] = [tuple(map(float, cell.split("/"))) for cell in cells]
    return kernels, lines[0], rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("builds", nargs="+", type=pathlib.Path)
    parser.add_argument("--sizes", default="64,128,256,512,1024,2048,4096")
    parser.add_argument("--update", type=pathlib.Path)
    options = parser.parse_args()
    builds = [measured(b.resolve(), options.sizes.split(",")) for b in options.builds]
    lines = [f"| type | m, n, k | vectors | {' | '.join(OPERANDS)} |", "|---" * 7 + "|"]
    slower, count = [], 0
    for kind, size in builds[0][2]:
        for kernels, _, rows in builds:
            cells = rows[kind, size]
            shown = " | ".join(f"{own:.0f} / {openblas:.0f}" for own, openblas in cells)
            lines.append(f"| {kind} | {size} | {kernels} | {shown} |")
            count += len(cells)
            slower += [
                f"{kind} {size} {operands} on {kernels} ({own / openblas:.2f})"
                for operands, (own, openblas) in zip(OPERANDS, cells, strict=True)
                if own < openblas
            ]
    where = f": {'; '.join(slower)}" if slower else ""
    text = "\n".join([
        *lines, "", *(f"{facts}." for _, facts, _ in builds), "",
        f"Own products are slower in {len(slower)} of {count} cells{where}.",
    ])  # fmt: skip
    print(text)
    if options.update:
        update_page(options.update, "products", text)


if __name__ == "__main__":
    main()
