"""The export scripts of examples/, as modules: the interop tests export the same nets afresh."""

import functools
import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import onnx

from support import initializers

EXAMPLES = pathlib.Path(__file__).parent.parent.parent / "examples"


@functools.cache
def exporter(name):
    """examples/NAME/export.py."""
    spec = importlib.util.spec_from_file_location(f"export_{name}", EXAMPLES / name / "export.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def data(folder, file):
    with np.load(EXAMPLES / folder / file) as arrays:
        return dict(arrays)


def expect_stored(folder, file, fresh):
    """What lies in the folder is what the exporter writes: nodes, and weights to the last bit, whatever their names."""
    stored = EXAMPLES / folder / file
    nodes = [[n.op_type for n in onnx.load(str(path)).graph.node] for path in (stored, fresh)]
    assert nodes[0] == nodes[1], f"{stored} has other nodes than a fresh export"
    contents = lambda path: sorted((t.shape, t.tobytes()) for t in initializers(path).values())
    assert contents(stored) == contents(fresh), f"{stored} has other weights than a fresh export"


def run_script(script, *paths):
    """A script of examples/, as its page calls it."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / script, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-1000:]


def note(text):
    """A figure that the run shows."""
    print(f"        {text}", flush=True)
