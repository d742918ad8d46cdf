"""Ten thousand damaged files through the command, each in 4 GB of address space."""

import collections
import os
import pathlib
import subprocess
import sys

COUNT = 10_000
HERE = pathlib.Path(__file__).parent


def test_damaged_files_end_in_a_result_or_an_error(tool):
    jobs = len(os.sched_getaffinity(0))
    bounds = [COUNT * k // jobs for k in range(jobs + 1)]
    running = [
        subprocess.Popen(
            [sys.executable, "-I", str(HERE / "mutations.py"), str(tool.binary), str(HERE.parent / "data"),
             str(bounds[k]), str(bounds[k + 1])],
            stdout=subprocess.PIPE, text=True,
        )
        for k in range(jobs)
    ]  # fmt: skip
    codes = collections.Counter()
    for process in running:
        lines = process.communicate()[0].splitlines()
        assert process.returncode == 0 and len(lines) == 1, "\n".join(lines)
        codes.update({int(c): int(n) for c, n in (part.split(":") for part in lines[0].split()[1:])})
    # Both ways are tried.
    assert sum(codes.values()) == COUNT and codes[0] > 500 and codes[3] > 1000, codes
