"""Writes adder.onnx: a recurrent net that adds bit by bit, as an ONNX RNN node. export.py [FOLDER] [SEED]

The program behind it has no framework, so the graph is put together by hand: hidden 16, sigmoid, no
bias, weights uniform in [-1, 1). `x` is [time, batch, 2], the least significant bits first; `y` is
[time, batch, 1], the bits of the sum.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HIDDEN = 16


def export(folder, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.uniform(-1, 1, shape).astype(np.float32)
    weights = {"wi": draw(1, HIDDEN, 2), "wh": draw(1, HIDDEN, HIDDEN), "wo": draw(HIDDEN, 1)}
    axes = numpy_helper.from_array(np.array([1], np.int64), "directions")
    nodes = [
        helper.make_node(
            "RNN", ["x", "wi", "wh"], ["states"], hidden_size=HIDDEN, activations=["Sigmoid"]
        ),
        helper.make_node("Squeeze", ["states", "directions"], ["h"]),
        helper.make_node("MatMul", ["h", "wo"], ["o"]),
        helper.make_node("Sigmoid", ["o"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "adder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["time", "batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["time", "batch", 1])],
        [axes, *(numpy_helper.from_array(v, k) for k, v in weights.items())],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(pathlib.Path(folder) / "adder.onnx"))
    return weights


def bits(numbers, count):
    """[count, samples, 1], the least significant bit first."""
    return (numbers[None, :, None] >> np.arange(count)[:, None, None] & 1).astype(np.uint8)


def sums(a, b, count):
    return {"x": np.concatenate([bits(a, count), bits(b, count)], -1), "y": bits(a + b, count)}


def write_data(folder):
    """All pairs whose sum fits 8 bits, in random order, and a thousand pairs of large numbers."""
    rng = np.random.default_rng(0)
    a, b = np.meshgrid(np.arange(256), np.arange(256))
    pairs = np.stack([a.ravel(), b.ravel()], -1)[(a + b).ravel() < 256]
    np.savez_compressed(pathlib.Path(folder) / "pairs.npz", **sums(*rng.permutation(pairs).T, 8))
    large = rng.integers(0, 2**31, (2, 1000))
    np.savez_compressed(pathlib.Path(folder) / "pairs32.npz", **sums(*large, 32))


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    export(target, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    write_data(target)
