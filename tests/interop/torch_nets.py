"""Small PyTorch nets, and how each is exported, fed and trained."""

import dataclasses
import inspect
import warnings
from typing import Any, Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass(eq=False)  # a net is the same as itself only
class Net:
    """One net with its data. `inputs` and `target` make one batch from a numpy generator."""

    module: Callable[[], nn.Module]
    inputs: Callable[[np.random.Generator], dict[str, np.ndarray]]
    target: Callable[[np.random.Generator], np.ndarray] | None
    loss: str
    # Input axes that are exported as symbolic dimensions, by input name.
    dynamic: dict[str, dict[int, str]] = dataclasses.field(default_factory=dict)
    options: tuple[Any, ...] = ()  # of `onnxrun train`
    rate: float = 1.0  # times the optimizer's learning rate
    exported: str = "eval"  # the mode that the file has: "train" keeps Dropout nodes
    trained: str = "eval"  # the mode that PyTorch trains in: "train" for batch statistics
    frozen: tuple[str, ...] = ()  # parameters that PyTorch does not train
    # The loss in PyTorch, if it is not the one of LOSSES.
    torch_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None


LOSSES = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
    "bce": F.binary_cross_entropy,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "cross_entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "nll_probs": lambda y, t: F.nll_loss(torch.log(y), t),
    "sum_squared": lambda y, t: ((y - t) ** 2).sum(),
    "kl": lambda y, t: F.kl_div(y, t, reduction="mean"),
    "output": lambda y, t: y,
}

# Class, learning rate, PyTorch's options and ours. Ours is called what stands before a "_".
class ClippedByNorm(torch.optim.SGD):
    def step(self):
        torch.nn.utils.clip_grad_norm_(self.param_groups[0]["params"], 0.3)
        super().step()


class ClippedByValue(torch.optim.SGD):
    def step(self):
        torch.nn.utils.clip_grad_value_(self.param_groups[0]["params"], 0.05)
        super().step()


OPTIMIZERS = {
    "sgd": (torch.optim.SGD, 0.1, {}, []),
    "momentum": (
        torch.optim.SGD, 0.05,
        {"momentum": 0.9, "weight_decay": 0.01}, ["--momentum", 0.9, "--weight-decay", 0.01],
    ),
    "nesterov": (
        torch.optim.SGD, 0.05, {"momentum": 0.9, "nesterov": True}, ["--momentum", 0.9],
    ),
    "adam": (torch.optim.Adam, 0.01, {}, []),
    "adamw": (torch.optim.AdamW, 0.01, {"weight_decay": 0.1}, ["--weight-decay", 0.1]),
    "rmsprop": (torch.optim.RMSprop, 0.01, {"alpha": 0.9}, ["--alpha", 0.9]),
    "adagrad": (torch.optim.Adagrad, 0.05, {}, []),
    "sgd_decay": (torch.optim.SGD, 0.1, {"weight_decay": 0.05}, ["--weight-decay", 0.05]),
    "adam_all": (
        torch.optim.Adam, 0.02, {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.03},
        ["--beta1", 0.8, "--beta2", 0.95, "--eps", 1e-3, "--weight-decay", 0.03],
    ),
    "rmsprop_all": (
        torch.optim.RMSprop, 0.01,
        {"alpha": 0.8, "eps": 1e-4, "momentum": 0.7, "weight_decay": 0.02},
        ["--alpha", 0.8, "--eps", 1e-4, "--momentum", 0.7, "--weight-decay", 0.02],
    ),
    "adadelta": (torch.optim.Adadelta, 1.0, {"rho": 0.8}, ["--alpha", 0.8]),
    "sgd_norm": (ClippedByNorm, 0.1, {}, ["--clip-norm", 0.3]),
    "sgd_value": (ClippedByValue, 0.1, {}, ["--clip-value", 0.05]),
    "adagrad_all": (
        torch.optim.Adagrad, 0.1, {"eps": 1e-5, "weight_decay": 0.02},
        ["--eps", 1e-5, "--weight-decay", 0.02],
    ),
}  # fmt: skip


def learning_rate(net, optimizer):
    return OPTIMIZERS[optimizer][1] * net.rate


def train_options(net, optimizer):
    """The options of `onnxrun train` and `grad --emit` that do what PyTorch is told to do."""
    return [
        "--loss", net.loss, "--optimizer", optimizer.split("_")[0], "--lr", learning_rate(net, optimizer),
        *OPTIMIZERS[optimizer][3], *net.options,
    ]  # fmt: skip


def make(net, seed):
    """The module with random weights; norm weights too, since exporters merge equal tensors."""
    torch.manual_seed(seed)
    module = net.module()
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if value.is_floating_point() and torch.all(value == value.flatten()[0]):
                value.copy_(0.5 + torch.rand_like(value))
    for name, value in module.named_parameters():
        value.requires_grad_(name not in net.frozen)
    return module.train(net.exported == "train")


def tensors(arrays):
    return [torch.from_numpy(a) for a in arrays.values()]


def export(net, module, path, exporter, opset):
    example = net.inputs(np.random.default_rng(0))
    args, names = tuple(tensors(example)), list(example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            shapes = tuple(
                {axis: torch.export.Dim(dim) for axis, dim in net.dynamic.get(n, {}).items()}
                for n in names
            )
            if any(p.kind == p.VAR_POSITIONAL for p in inspect.signature(module.forward).parameters.values()):
                shapes = (shapes,)  # the inputs are one tuple
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


def make_batches(net, rng, count):
    """Inputs of `count` batches, and their targets or None."""
    inputs = [net.inputs(rng) for _ in range(count)]
    return inputs, [net.target(rng) for _ in range(count)] if net.target else None


def first_output(result):
    return result[0] if isinstance(result, tuple) else result


def widened(array):
    return array.astype(np.float64) if array.dtype == np.float32 else array


def as_double(arrays):
    return tensors({k: widened(a) for k, a in arrays.items()})


def train_in_double(net, module, optimizer, batches, targets):
    """The losses before each update; the module is left trained, in float64."""
    module.double().train(net.trained == "train")
    make_optimizer, _, options, _ = OPTIMIZERS[optimizer]
    trainable = [p for p in module.parameters() if p.requires_grad]
    step = make_optimizer(trainable, lr=learning_rate(net, optimizer), **options)
    measure = net.torch_loss or LOSSES[net.loss]
    # A parameter that a step has no use for has a gradient of zero: a step is one graph.
    for parameter in trainable:
        parameter.grad = torch.zeros_like(parameter)
    losses = []
    for k, batch in enumerate(batches):
        target = as_double({"target": targets[k]})[0] if targets else None
        loss = measure(first_output(module(*as_double(batch))), target)
        step.zero_grad(set_to_none=False)
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
