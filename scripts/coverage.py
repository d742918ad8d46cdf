#!/usr/bin/env python3
"""Which lines the tests have executed: coverage.py BUILD_DIR [--least PERCENT] [--missed]

Reads the counters that a build of the preset `coverage` has left (gcov, which belongs to g++) and
prints a line for runtime, importer, exporter and api; --missed names the lines that were not
reached. Exit code 1 if one of the four has less than PERCENT.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

LAYERS = ("runtime", "importer", "exporter", "api")


def lines_of(counters, build):
    """{file: {line: count}} of one translation unit."""
    done = subprocess.run(
        ["gcov", "--json-format", "--stdout", counters], capture_output=True, text=True, cwd=build, check=True
    )
    found = collections.defaultdict(collections.Counter)
    for text in done.stdout.splitlines():
        for file in json.loads(text)["files"]:
            for line in file["lines"]:
                found[file["file"]][line["line_number"]] += line["count"]
    return found


def measure(root, build):
    counters = [c for layer in LAYERS for c in (build / f"CMakeFiles/onnxrun_{layer}.dir").rglob("*.gcda")]
    if not counters:
        sys.exit(f"coverage: {build} has no counters; build and test with the preset coverage first")
    executed = collections.defaultdict(collections.Counter)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(lambda c: lines_of(c, build), counters):
            for name, lines in part.items():
                path = pathlib.Path(os.path.normpath(build / name))
                if path.is_relative_to(root) and path.relative_to(root).parts[0] in LAYERS:
                    executed[path.relative_to(root)].update(lines)
    return executed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--least", type=float, default=0.0)
    parser.add_argument("--missed", action="store_true")
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parent.parent
    executed = measure(root, args.build.resolve())
    if args.missed:
        for path in sorted(executed):
            missed = [n for n, count in sorted(executed[path].items()) if count == 0]
            if missed:
                print(f"{path}: {len(missed)} of {len(executed[path])}: {' '.join(map(str, missed))}")
    enough = True
    for layer in LAYERS:
        counts = [c for path, lines in executed.items() if path.parts[0] == layer for c in lines.values()]
        hit = sum(c > 0 for c in counts)
        percent = 100 * hit / len(counts)
        enough = enough and percent >= args.least
        print(f"{layer:9} {percent:5.1f} % of {len(counts)} lines")
    sys.exit(0 if enough else 1)


if __name__ == "__main__":
    main()
