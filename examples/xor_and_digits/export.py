"""Writes the models of this folder as PyTorch's default exporter does, and classes.npz. export.py [FOLDER]

`export.py losses` writes torch_losses.npz instead: what the lecture's own loop has for losses, in minutes.
"""

import logging
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Step(nn.Module):
    """Heaviside's function, 0 at 0."""

    def forward(self, x):
        return torch.heaviside(x, torch.tensor(0.0))


def layer(weight, bias):
    """A linear layer with weights that are given."""
    linear = nn.Linear(len(weight[0]), len(weight))
    linear.weight = nn.Parameter(torch.tensor(weight))
    linear.bias = nn.Parameter(torch.tensor(bias))
    return linear


class Gates(nn.Module):
    """Perceptrons with fixed weights: AND, OR, NOT (of x), and XOR of three layers."""

    def __init__(self):
        super().__init__()
        self.conjunction = layer([[0.5, 0.5]], [-0.6])
        self.disjunction = layer([[1.0, 1.0]], [-0.5])
        self.negation = layer([[-1.0]], [1.0])
        self.step = Step()
        self.xor_ffnn = nn.Sequential(
            layer([[0.5, 0.5], [1.0, 1.0]], [-0.6, -0.5]), Step(),
            layer([[-1.0, 0.0], [0.0, 1.0]], [1.0, 0.0]), Step(),
            layer([[0.5, 0.5]], [-0.6]), Step(),
        )  # fmt: skip

    def forward(self, x):
        return (
            self.step(self.conjunction(x)), self.step(self.disjunction(x)),
            self.step(self.negation(x[:, :1])), self.xor_ffnn(x),
        )  # fmt: skip


class Activations(nn.Module):
    def forward(self, x):
        return (
            torch.sigmoid(x), torch.heaviside(x, torch.tensor(0.0)), F.relu(x), torch.tanh(x),
            F.leaky_relu(x, 0.1), F.gelu(x, approximate="tanh"),
        )  # fmt: skip


def xor_net():
    return nn.Sequential(
        nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Sigmoid()
    )


def classifier(last):
    """16 features, 32 hidden, 8 classes."""
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8), last(dim=-1))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1568, 10),
    )  # fmt: skip


GATES = ["and", "or", "not", "xor"]
ACTIVATIONS = ["logistic", "heaviside", "relu", "tanh", "leaky_relu", "gelu"]
# Name: the module, the shape of its input, whether its first axis is the batch, names of outputs.
MODELS = {
    "gates": (Gates, (4, 2), True, GATES),
    "activations": (Activations, (8,), True, ACTIVATIONS),
    "xor": (xor_net, (2,), False, ["y"]),
    "softmax": (lambda: classifier(nn.Softmax), (4, 16), True, ["y"]),
    "log_softmax": (lambda: classifier(nn.LogSoftmax), (4, 16), True, ["y"]),
    "mlp": (mlp, (4, 1, 28, 28), True, ["logits"]),
    "cnn": (cnn, (4, 1, 28, 28), True, ["logits"]),
}


def export(name, folder):
    """Makes the module from seed 0, writes NAME.onnx and returns the module."""
    make, shape, has_batch, outputs = MODELS[name]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.manual_seed(0)
    module = make()
    torch.onnx.export(
        module, (torch.rand(shape),), str(pathlib.Path(folder) / f"{name}.onnx"),
        input_names=["x"], output_names=outputs, verbose=False, external_data=False,
        dynamic_shapes=({0: torch.export.Dim("batch")},) if has_batch else None,
    )  # fmt: skip
    return module


def clusters(samples=1000, seed=0):
    """Eight overlapping clusters of 16 features."""
    rng = np.random.default_rng(seed)
    centres, y = rng.normal(0, 1, (8, 16)), rng.integers(0, 8, samples)
    x = centres[y] + rng.normal(0, 1.2, (samples, 16))
    return {"x": np.round(x, 2).astype(np.float32), "y": y.astype(np.uint8)}


EVERY = 50


def xor_losses(precision, epochs):
    """The lecture's loop: the sum of the four losses of every epoch."""
    torch.manual_seed(0)
    net = xor_net().to(precision)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.03)
    cases = [([0, 0], 0), ([0, 1], 1), ([1, 0], 1), ([1, 1], 0)]
    train_set = [(torch.tensor(x, dtype=precision), torch.tensor([y], dtype=precision)) for x, y in cases]
    history = []
    for _ in range(epochs):
        epoch_loss = 0.0
        for x, target in train_set:
            loss = F.binary_cross_entropy(net(x), target)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            epoch_loss += loss.item()
        history.append(epoch_loss)
    return np.array(history)


def write_losses(folder):
    names = ("float32", "float64")
    found = {n: xor_losses(getattr(torch, n), 50000)[::EVERY] for n in names}
    np.savez_compressed(pathlib.Path(folder) / "torch_losses.npz", **found)


if __name__ == "__main__":
    if sys.argv[1:] == ["losses"]:
        write_losses(pathlib.Path(__file__).parent)
        sys.exit()
    target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    for model in MODELS:
        export(model, target)
    np.savez_compressed(target / "classes.npz", **clusters())
