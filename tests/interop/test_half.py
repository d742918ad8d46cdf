"""Weights in half precision train as float32 and go back into the file in their own type."""

import warnings

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from support import expect_near
from test_corpus import numbers

STEPS, ROWS = 30, 6


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(2, 4, 3), nn.LayerNorm(4)
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.norm(self.conv(x).transpose(1, 2)).mean(1)
        return self.b(torch.relu(self.a(x)))


def stored(path):
    return {t.name: t for t in onnx.load(str(path)).graph.initializer}


def as_numbers(tensor):
    return numbers(np.asarray(numpy_helper.to_array(tensor)).astype(np.float32))


def check(tool, dtype, exporter, optimizer, lr):
    torch.manual_seed(7)
    module = Net().to(dtype).eval()
    with torch.no_grad():  # no equal tensors
        for p in module.parameters():
            p.add_(torch.rand_like(p) / 8)
    path = tool.path(".onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, torch.zeros(ROWS, 2, 9, dtype=dtype), str(path), dynamo=exporter == "dynamo",
            external_data=False, input_names=["x"], output_names=["y"], verbose=False, opset_version=18,
        )  # fmt: skip
    random = np.random.default_rng(8)
    x = random.normal(size=(STEPS, ROWS, 2, 9)).astype(np.float16).astype(np.float32)
    x = torch.from_numpy(x).to(dtype).float().numpy()  # what the inputs' own type holds
    target = random.integers(0, 3, (STEPS, ROWS))
    out, losses = tool.train(
        path, {"x": x}, target, "--loss", "cross_entropy", "--optimizer", optimizer, "--lr", lr
    )

    masters = module.float()
    step = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](masters.parameters(), lr=lr)
    wanted = []
    for batch, t in zip(x, target):
        step.zero_grad()
        loss = nn.functional.cross_entropy(masters(torch.from_numpy(batch)), torch.from_numpy(t))
        loss.backward()
        step.step()
        wanted.append(loss.item())
    expect_near("losses", np.array(losses), np.array(wanted), 2e-5)

    before, after = stored(path), stored(out)
    assert {n: t.data_type for n, t in before.items()} == {n: t.data_type for n, t in after.items()}
    digits = 2.0 ** (-10 if dtype == torch.float16 else -7)
    moved = 0
    for name, value in masters.named_parameters():
        if name in after:
            expect_near(name, as_numbers(after[name]), value.detach().numpy().astype(np.float64), digits)
            moved += not np.array_equal(as_numbers(after[name]), as_numbers(before[name]))
    assert moved >= 4, moved


def test_float16(tool):
    for exporter in ("dynamo", "legacy"):
        check(tool, torch.float16, exporter, "adam", 0.01)


def test_bfloat16(tool):
    check(tool, torch.bfloat16, "dynamo", "adam", 0.01)


def test_steps_smaller_than_the_last_digit_add_up(tool):
    # A step moves a weight by about 1e-4 of itself, which neither type holds.
    check(tool, torch.float16, "dynamo", "sgd", 0.003)
    check(tool, torch.bfloat16, "dynamo", "sgd", 0.01)
