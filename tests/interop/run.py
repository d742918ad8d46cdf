#!/usr/bin/env python3
"""Tests of the onnxrun command against other frameworks: run.py PATH/onnxrun [PATTERN...]

Every function test_* of the test_*.py beside this file gets a support.Tool. A module's cases() may
yield more tests as (name, function). With patterns only the tests whose `module.name` contains one
of them run. Up to four run at a time, as there are processors. The last line is "N passed, N failed";
exit code 1 if one failed.
"""

import importlib
import logging
import multiprocessing
import os
import pathlib
import queue
import sys
import tempfile
import time
import traceback

logging.getLogger("torch.onnx").setLevel(logging.ERROR)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

from support import Tool

GROUP = 6  # tests that a worker takes at a time
MOST = 4  # workers, each with all frameworks in a gigabyte or two


def collect():
    here = pathlib.Path(__file__).parent
    for path in sorted(here.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, value in list(vars(module).items()):
            if name.startswith("test_") and callable(value) and value.__module__ == path.stem:
                yield f"{path.stem}.{name}", value
        if hasattr(module, "cases"):
            for name, function in module.cases():
                yield f"{path.stem}.{name}", function


def chosen(patterns):
    return [(n, f) for n, f in collect() if not patterns or any(p in n for p in patterns)]


def run(binary, name, function):
    """Whether it passed, and the line to print."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as directory:
            function(Tool(binary, pathlib.Path(directory)))
        return True, f"ok      {name} ({time.monotonic() - began:.1f} s)"
    except Exception:  # a failing test must not hide the others
        return False, f"FAILED  {name}\n{traceback.format_exc(limit=-4)}"


def work(binary, patterns, next_group, results):
    """Takes groups of tests, neighbours that share what they export, until there are none left."""
    tests = chosen(patterns)
    while (group := take(next_group)) * GROUP < len(tests):
        for name, function in tests[group * GROUP : (group + 1) * GROUP]:
            results.put(run(binary, name, function))
    results.put(None)


def take(counter):
    with counter.get_lock():
        counter.value += 1
        return counter.value - 1


def processors():
    """What the affinity mask and the control group allow."""
    count = len(os.sched_getaffinity(0))
    try:
        quota, period = pathlib.Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return count if quota == "max" else max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):
        return count


def main():
    binary, patterns = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    # Not forked: the frameworks have threads.
    context = multiprocessing.get_context("spawn")
    next_group, results = context.Value("i", 0), context.Queue()
    count = min(processors(), MOST)
    workers = [
        context.Process(target=work, args=(binary, patterns, next_group, results), daemon=True)
        for _ in range(count)
    ]
    for worker in workers:
        worker.start()
    outcomes, left = [], count
    while left > 0:
        try:
            result = results.get(timeout=5)
        except queue.Empty:
            if any(w.exitcode for w in workers):
                sys.exit("a worker has died")
            continue
        if result is None:
            left -= 1
            continue
        passed, text = result
        outcomes.append(passed)
        print(text, flush=True)
    failed = outcomes.count(False)
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    sys.exit(1 if failed or len(outcomes) == failed else 0)


if __name__ == "__main__":
    main()
