"""Trainings that a file describes itself, with each optimizer of ai.onnx.preview.training: gradients
by PyTorch, updates by the formulas of the operators' specification."""

import json
import pathlib
import sys

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from support import expect_near

sys.path.append(str(pathlib.Path(__file__).parent.parent / "data"))
from make_training_info import ATTRIBUTES, SLOTS, make_model  # noqa: E402

BATCHES, SIZE = 6, 4
SHAPES = {"W": (3, 1), "b": (1,)}


def updated(optimizer, rate, count, x, gradient, slots):
    """The formulas of the operators' specification; attributes are float in the file."""
    a = {k: v if isinstance(v, str) else float(np.float32(v)) for k, v in ATTRIBUTES[optimizer].items()}
    g = a.get("norm_coefficient", 0.0) * x + gradient
    if optimizer == "Momentum":
        v = a["alpha"] * slots["v"] + (a["beta"] if count > 0 else 1.0) * g
        return x - rate * v, {"v": v}
    if optimizer == "Adagrad":
        h = slots["h"] + g * g
        decayed = rate / (1 + count * a["decay_factor"])
        return x - decayed * g / (np.sqrt(h) + a["epsilon"]), {"h": h}
    v = a["alpha"] * slots["v"] + (1 - a["alpha"]) * g
    h = a["beta"] * slots["h"] + (1 - a["beta"]) * g * g
    if count > 0:
        rate = rate * np.sqrt(1 - a["beta"] ** count) / (1 - a["alpha"] ** count)
    return x - rate * v / (np.sqrt(h) + a["epsilon"]), {"v": v, "h": h}


def expected(optimizer, x, t):
    values = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    slots = {p: {s: np.zeros(shape) for s in SLOTS[optimizer]} for p, shape in SHAPES.items()}
    for k in range(BATCHES):
        parameters = {p: torch.tensor(values[p], requires_grad=True) for p in SHAPES}
        y = torch.tensor(x[k]) @ parameters["W"] + parameters["b"]
        ((y - torch.tensor(t[k])) ** 2).mean().backward()
        for p in SHAPES:
            gradient = parameters[p].grad.numpy()
            values[p], slots[p] = updated(optimizer, 0.05, k, values[p], gradient, slots[p])
    return values | {f"{s}_{p}": slots[p][s] for p in SHAPES for s in slots[p]}


def test_training_info(tool):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCHES, SIZE, 3))
    t = x @ np.array([[1.0], [-2.0], [3.0]]) + 0.5
    for optimizer in ATTRIBUTES:
        path, out = tool.path(".onnx"), tool.path(".onnx")
        onnx.save(make_model(optimizer, dtype=np.float64), path)
        report = json.loads(
            tool("step", path, "--data", tool.save({"x": x, "t": t}), "--prebatched",
                 "--no-shuffle", "--json", "-o", out)
        )  # fmt: skip
        assert report["steps"] == BATCHES
        written = onnx.load(out)
        onnx.checker.check_model(written)
        algorithm = written.training_info[0].algorithm
        state = {i.name: numpy_helper.to_array(i)
                 for i in [*written.graph.initializer, *algorithm.initializer]}  # fmt: skip
        for name, value in expected(optimizer, x, t).items():
            expect_near(f"{optimizer}, {name}", state[name], value, 1e-12)
        assert state["step"] == BATCHES
