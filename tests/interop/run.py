#!/usr/bin/env python3
"""Tests of the onnxrun command against other frameworks: run.py PATH/onnxrun [PATTERN...]

Every function test_* of the test_*.py beside this file gets a support.Tool. A module's cases() may
yield more tests as (name, function). With patterns only the tests whose `module.name` contains one
of them run. The last line is "N passed, N failed"; exit code 1 if one failed.
"""

import importlib
import logging
import os
import pathlib
import sys
import tempfile
import time
import traceback

logging.getLogger("torch.onnx").setLevel(logging.ERROR)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from support import Tool


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


def main():
    binary, patterns = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    passed = failed = 0
    for name, function in collect():
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
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
