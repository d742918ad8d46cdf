"""The learning-rate sweep against PyTorch Lightning's formulas, written out with numpy."""

import json

import numpy as np
import torch
from torch import nn

from support import expect_near
from torch_nets import Net, export, floats, make


def test_sweep(tool):
    net = Net(
        lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2)),
        lambda rng: {"x": rng.standard_normal((3, 5)).astype("f")},
        floats(2), "mse", dynamic={"x": {0: "batch"}},
    )  # fmt: skip
    module, model, rng = make(net, seed=2), tool.path(".onnx"), np.random.default_rng(4)
    export(net, module, model, "dynamo", 20)
    x, y = rng.standard_normal((60, 5)).astype("f"), rng.standard_normal((60, 2)).astype("f")
    before = model.read_bytes()
    out = tool(
        "train", model, "--data", tool.save({"x": x, "target": y}), "--loss", "mse", "--find-lr",
        "--no-shuffle", "--batch-size", 20, "--precision", "float64", "--json", "-q",
    )  # fmt: skip
    assert model.read_bytes() == before
    sweep = json.loads(out)
    rates, losses, smoothed = (
        np.array([p[key] for p in sweep["points"]]) for key in ("lr", "loss", "smoothed")
    )

    # The same steps in PyTorch.
    module = module.double()
    optimizer = torch.optim.SGD(module.parameters(), lr=1)
    expected = []
    for k in range(len(rates)):
        optimizer.param_groups[0]["lr"] = 1e-7 * 1e8 ** (k / 99)
        expect_near("rate", rates[k], optimizer.param_groups[0]["lr"], 1e-12)
        batch = slice(k % 3 * 20, k % 3 * 20 + 20)
        loss = nn.functional.mse_loss(
            module(torch.tensor(x[batch]).double()), torch.tensor(y[batch]).double()
        )
        expected.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    expect_near("losses", losses, expected, 1e-9)

    average, averages, best = 0, [], np.inf
    for k, loss in enumerate(expected):
        average = 0.98 * average + 0.02 * loss
        averages.append(average / (1 - 0.98 ** (k + 1)))
        if k > 0 and averages[-1] > 4 * best:
            assert k == len(expected) - 1, "the sweep went on after it diverged"
        best = min(best, averages[-1])
    expect_near("smoothed losses", smoothed, averages, 1e-9)
    steepest = np.gradient(smoothed[10:-1]).argmin()
    assert sweep["suggestion"] == rates[10 + steepest]
