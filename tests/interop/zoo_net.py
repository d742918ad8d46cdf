"""How the zoo describes a net, and the modules that several of its nets are made of."""

import dataclasses
from typing import Any, Callable

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from parameter_nets import Function

__all__ = ["Arch", "ConvNorm", "Function", "fuse", "ids", "image", "real", "several"]


# The exporters of nets that the default one is not asked for.
LEGACY = ("legacy",)


@dataclasses.dataclass(eq=False)
class Arch:
    """A net. `inputs` makes a batch of the given size; its target follows from the first output."""

    module: Callable[[], nn.Module]
    inputs: Callable[[np.random.Generator, int], dict[str, np.ndarray]]
    loss: str = "mse"  # or cross_entropy, with the classes on axis 1
    fixed: tuple[str, ...] = ()  # inputs whose first axis is not the batch
    # The exporters that write it; of PyTorch's two the default one takes ten times as long.
    exporters: tuple[str, ...] = ("dynamo", "legacy")
    opsets: tuple[int, ...] = ()  # one an exporter, if not any will do
    frozen: dict[str, str] = dataclasses.field(default_factory=dict)  # exporter -> what --freeze names
    rate: float = 0.1  # times the optimizer's learning rate
    # Why a file of this exporter is not trained, or is not made.
    untrained: dict[str, str] = dataclasses.field(default_factory=dict)
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    # Training in PyTorch of running statistics: the net has batch norms.
    norms: bool = False
    options: tuple[Any, ...] = ()  # of `onnxrun train`
    without: dict[str, str] = dataclasses.field(default_factory=dict)  # how quantized -> why not


def real(*shape, name="x"):
    return lambda rng, n: {name: rng.standard_normal((n, *shape)).astype(np.float32)}


def image(channels, height, width=None):
    return real(channels, height, width or height)


def ids(*shape, high=11, name="tokens"):
    return lambda rng, n: {name: rng.integers(0, high, (n, *shape)).astype(np.int64)}


def several(*makers):
    """The inputs of all makers together."""
    return lambda rng, n: {name: value for m in makers for name, value in m(rng, n).items()}


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and an activation."""

    def __init__(self, a, b, kernel=3, stride=1, groups=1, act=nn.ReLU, dilation=1):
        pad = dilation * (kernel - 1) // 2
        conv = nn.Conv2d(a, b, kernel, stride, pad, dilation, groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(b), act() if act else nn.Identity())


NORMS, CONVOLUTIONS = (nn.BatchNorm2d, nn.BatchNorm3d), (nn.Conv2d, nn.Conv3d)


def fuse(module):
    """Takes batch norms up into the convolutions before them, as PyTorch's default exporter does."""
    for part in module.modules():
        if not isinstance(part, nn.Sequential):
            continue
        for k in range(1, len(part)):
            if isinstance(part[k], NORMS) and isinstance(part[k - 1], CONVOLUTIONS):
                part[k - 1], part[k] = fuse_conv_bn_eval(part[k - 1].eval(), part[k].eval()), nn.Identity()
                part[k - 1].requires_grad_(True)  # the new bias does not by itself
    return module
