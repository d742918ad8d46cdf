"""Small PyTorch nets, and how each is exported, fed and trained."""

import dataclasses
import warnings
from typing import Any, Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass
class Net:
    """One net with its data. `inputs` and `target` make one batch from a numpy generator."""

    module: Callable[[], nn.Module]
    inputs: Callable[[np.random.Generator], dict[str, np.ndarray]]
    target: Callable[[np.random.Generator], np.ndarray]
    loss: str
    # Input axes that are exported as symbolic dimensions, by input name.
    dynamic: dict[str, dict[int, str]] = dataclasses.field(default_factory=dict)
    train_mode: bool = False
    options: tuple[Any, ...] = ()


LOSSES = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "bce": F.binary_cross_entropy,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "cross_entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "sum_squared": lambda y, t: ((y - t) ** 2).sum(),
}

OPTIMIZERS = {
    "sgd": (lambda p: torch.optim.SGD(p, lr=0.1), ["--lr", 0.1]),
    "momentum": (
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
        ["--lr", 0.05, "--momentum", 0.9, "--weight-decay", 0.01],
    ),
    "nesterov": (
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
        ["--lr", 0.05, "--momentum", 0.9],
    ),
    "adam": (lambda p: torch.optim.Adam(p, lr=0.01), ["--lr", 0.01]),
    "adamw": (
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
        ["--lr", 0.01, "--weight-decay", 0.1],
    ),
    "rmsprop": (
        lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9),
        ["--lr", 0.01, "--alpha", 0.9],
    ),
    "adagrad": (lambda p: torch.optim.Adagrad(p, lr=0.05), ["--lr", 0.05]),
}


def make(net, seed):
    """The module with random weights; norm weights too, since exporters merge equal tensors."""
    torch.manual_seed(seed)
    module = net.module()
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if value.is_floating_point() and torch.all(value == value.flatten()[0]):
                value.copy_(0.5 + torch.rand_like(value))
    return module.train() if net.train_mode else module.eval()


def export(net, module, path, exporter, opset):
    rng = np.random.default_rng(0)
    example = {k: torch.from_numpy(v) for k, v in net.inputs(rng).items()}
    args, names = tuple(example.values()), list(example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            shapes = tuple(
                {axis: torch.export.Dim(dim) for axis, dim in net.dynamic.get(n, {}).items()}
                for n in names
            )
            torch.onnx.export(
                module, args, str(path), input_names=names, opset_version=opset, verbose=False,
                dynamic_shapes=shapes if net.dynamic else None,
            )  # fmt: skip
        else:
            torch.onnx.export(
                module, args, str(path), input_names=names, opset_version=opset, dynamo=False,
                dynamic_axes=net.dynamic or None, do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
            )  # fmt: skip


def stack(maps):
    return {k: np.stack([m[k] for m in maps]) for k in maps[0]}


def first_output(result):
    return result[0] if isinstance(result, tuple) else result


def as_double(arrays):
    return [
        torch.from_numpy(a.astype(np.float64) if a.dtype == np.float32 else a)
        for a in arrays.values()
    ]


def train_in_double(net, module, optimizer, batches, targets):
    """The losses before each update; the module is left trained, in float64."""
    module.double()
    step = OPTIMIZERS[optimizer][0](module.parameters())
    losses = []
    for batch, target in zip(batches, targets):
        output = first_output(module(*as_double(batch)))
        loss = LOSSES[net.loss](output, *as_double({"target": target}))
        step.zero_grad()
        loss.backward()
        step.step()
        losses.append(loss.item())
    return losses


def floats(*shape):
    return lambda rng: {"x": rng.standard_normal(shape).astype(np.float32)}


def targets(*shape):
    return lambda rng: rng.standard_normal(shape).astype(np.float32)


def bits(*shape):
    return lambda rng: rng.integers(0, 2, shape).astype(np.float32)


def classes(count, *shape):
    return lambda rng: rng.integers(0, count, shape).astype(np.int64)
