#!/usr/bin/env python3
"""Writes tests/data/training_info.onnx: y = x W + b, and in its training_info a mean squared error, its
gradient, an optimizer of ai.onnx.preview.training and a first W. Needs the onnx package.
"""

import pathlib

import numpy as np
import onnx
from onnx import helper, numpy_helper

DOMAIN = "ai.onnx.preview.training"
ATTRIBUTES = {
    "Momentum": {"alpha": 0.9, "beta": 1.0, "mode": "standard", "norm_coefficient": 0.01},
    "Adagrad": {"decay_factor": 0.1, "epsilon": 1e-6, "norm_coefficient": 0.0},
    "Adam": {"alpha": 0.9, "beta": 0.999, "epsilon": 1e-8},
}
SLOTS = {"Momentum": ["v"], "Adagrad": ["h"], "Adam": ["v", "h"]}


def make_model(optimizer, rate=0.05, dtype=np.float32):
    code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    value = lambda name, dims: helper.make_tensor_value_info(name, code, dims)
    zeros = lambda name, dims: numpy_helper.from_array(np.zeros(dims, dtype), name)
    shapes = {"W": (3, 1), "b": (1,)}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["xW"]), helper.make_node("Add", ["xW", "b"], ["y"])],
        "net", [value("x", ["N", 3])], [value("y", ["N", 1])],
        [zeros(name, shape) for name, shape in shapes.items()],
    )  # fmt: skip
    slots = [(s, p) for s in SLOTS[optimizer] for p in shapes]
    state = [f"{s}_{p}" for s, p in slots]
    news = [f"new_{name}" for name in [*shapes, *state]]
    algorithm = helper.make_graph(
        [
            helper.make_node("Sub", ["y", "t"], ["d"]),
            helper.make_node("Mul", ["d", "d"], ["square"]),
            helper.make_node("ReduceMean", ["square"], ["loss"], keepdims=0),
            helper.make_node("Gradient", ["W", "b", "x", "t"], ["dW", "db"],
                             xs=["W", "b"], zs=["x", "t"], y="loss", domain=DOMAIN),
            helper.make_node(optimizer, ["rate", "step", "W", "b", "dW", "db", *state], news,
                             domain=DOMAIN, **ATTRIBUTES[optimizer]),
            helper.make_node("Add", ["step", "one"], ["new_step"]),
        ],
        "algorithm", [value("t", ["N", 1])], [value("loss", [])],
        [numpy_helper.from_array(np.array(rate, dtype), "rate"),
         numpy_helper.from_array(np.array(0, np.int64), "step"),
         numpy_helper.from_array(np.array(1, np.int64), "one"),
         *[zeros(f"{s}_{p}", shapes[p]) for s, p in slots]],
    )  # fmt: skip
    first = helper.make_graph(
        [helper.make_node("RandomNormal", [], ["W0"], shape=[3, 1], scale=0.1, dtype=code)],
        "initialization", [], [value("W0", [3, 1])],
    )  # fmt: skip
    updates = [(name, f"new_{name}") for name in [*shapes, *state, "step"]]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    model.training_info.append(helper.make_training_info(algorithm, updates, first, [("W", "W0")]))
    return model


if __name__ == "__main__":
    onnx.save(make_model("Momentum"), pathlib.Path(__file__).parent / "training_info.onnx")
