"""examples/own_optimizer, an optimizer between the halves of a step, against torch.optim.Rprop."""

import pathlib
import re
import subprocess

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from support import expect_near

ROOT = pathlib.Path(__file__).parents[2]
XOR = ROOT / "examples" / "models" / "xor.onnx"


def stored(path):
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def test_rprop_is_pytorchs(tool):
    build = tool.build("example_own_optimizer")
    trained = tool.path(".onnx")
    printed = subprocess.run([build / "example_own_optimizer", XOR, trained],
                             check=True, capture_output=True, text=True).stdout  # fmt: skip

    weights = {name: nn.Parameter(torch.tensor(value)) for name, value in stored(XOR).items()}
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    target = torch.tensor([[0.0], [1], [1], [0]])
    optimizer = torch.optim.Rprop(weights.values(), lr=0.01)
    losses = {}
    for step in range(61):
        optimizer.zero_grad()
        h = torch.tanh(nn.functional.linear(x, weights["hidden1.weight"], weights["hidden1.bias"]))
        h = torch.tanh(nn.functional.linear(h, weights["hidden2.weight"], weights["hidden2.bias"]))
        y = torch.sigmoid(nn.functional.linear(h, weights["out.weight"], weights["out.bias"]))
        loss = nn.functional.binary_cross_entropy(y, target)
        loss.backward()
        optimizer.step()
        losses[step] = loss.item()
    found = {int(step): float(loss) for step, loss in re.findall(r"step +(\d+): loss ([\d.]+)", printed)}
    assert sorted(found) == [0, 15, 30, 45, 60], printed
    for step, value in found.items():
        assert abs(value - losses[step]) < 6e-6 + 1e-5 * value, (step, value, losses[step])  # five digits
    ours, before = stored(trained), stored(XOR)
    for name, expected in weights.items():
        assert np.abs(ours[name] - before[name]).max() > 0, name
        expect_near(name, ours[name], expected.detach().numpy(), 1e-5)
