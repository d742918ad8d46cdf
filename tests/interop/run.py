#!/usr/bin/env python3
"""Tests of the onnxrun command against other frameworks: run.py [-j N] PATH/onnxrun [PATTERN...]

Every function test_* of the test_*.py beside this file gets a support.Tool. A module's cases() may
yield more tests as (name, function). With patterns only the tests whose `module.name` contains one
of them run. The last line is "N passed, N failed"; exit code 1 if one failed.

All tests run a module at a time on each processor (-j), in a process of its own: what PyTorch does
depends on what it did before. The lines of a module come out together. Tests by patterns run in
this process.
"""

import argparse
import concurrent.futures
import importlib
import logging
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import traceback

logging.getLogger("torch.onnx").setLevel(logging.ERROR)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from support import Tool

MOST = 4  # processes, each with frameworks in a gigabyte or two
# Those that take minutes start first, so that none of them runs alone at the end.
LONGEST = [
    "test_mutations", "test_zoo", "test_parameters", "test_seeds_torch", "test_back", "test_limits", "test_keras",
    "test_corpus_step", "test_torch_recurrent", "test_zoo_keras", "test_new_classes", "test_torch_training",
]  # fmt: skip


def modules():
    names = sorted(path.stem for path in pathlib.Path(__file__).parent.glob("test_*.py"))
    return sorted(names, key=lambda n: LONGEST.index(n) if n in LONGEST else len(LONGEST))


def tests_of(name):
    module = importlib.import_module(name)
    for key, value in list(vars(module).items()):
        if key.startswith("test_") and callable(value) and value.__module__ == name:
            yield f"{name}.{key}", value
    if hasattr(module, "cases"):
        for key, function in module.cases():
            yield f"{name}.{key}", function


def run_here(names, binary, patterns):
    """Runs tests one after another; how many passed and failed."""
    passed = failed = 0
    for name, function in (test for module in names for test in tests_of(module)):
        if patterns and not any(p in name for p in patterns):
            continue
        began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as directory:
                function(Tool(binary, pathlib.Path(directory)))
            passed += 1
            print(f"ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:  # a failing test must not hide the others
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc(limit=-4)}", flush=True)
    return passed, failed


def run_apart(name, binary):
    """The same for one module in a process of its own; one that dies is a failure more."""
    began = time.monotonic()
    one_thread = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--module", name, binary],
        check=False, env={**one_thread, **os.environ},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    text = done.stdout
    closing = re.search(r"^(\d+) passed, (\d+) failed$\n?", text, re.MULTILINE)
    if closing and done.returncode in (0, 1):
        passed, failed = map(int, closing.groups())
        text = text.replace(closing.group(), "")
    else:
        text = f"{text.rstrip()}\nFAILED  {name} ended with exit code {done.returncode}"
        passed = len(re.findall(r"^ok      ", text, re.MULTILINE))
        failed = len(re.findall(r"^FAILED  ", text, re.MULTILINE))
    print(*filter(None, [text.strip()]), f"===== {name}: {time.monotonic() - began:.0f} s", sep="\n", flush=True)
    return passed, failed


def processors():
    """What the affinity mask and the control group allow."""
    count = len(os.sched_getaffinity(0))
    try:
        quota, period = pathlib.Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return count if quota == "max" else max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):
        return count


def main():
    options = argparse.ArgumentParser()
    options.add_argument("-j", type=int, default=min(processors(), MOST), dest="jobs")
    options.add_argument("--module", help="the tests of this module alone, in this process")
    options.add_argument("binary", type=lambda path: pathlib.Path(path).resolve())
    options.add_argument("patterns", nargs="*")
    given = options.parse_args()
    if given.module or given.patterns:
        names = [given.module] if given.module else modules()
        counts = [run_here(names, given.binary, given.patterns)]
    else:
        with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
            counts = list(pool.map(lambda name: run_apart(name, given.binary), modules()))
    passed, failed = (sum(column) for column in zip(*counts))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
