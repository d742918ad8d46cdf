"""The nets and operators that tables.py times, as their users would write and export them."""

import dataclasses
import pathlib
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def dense(*widths, activation=nn.ReLU, end=None):
    layers = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), activation()]
    layers.pop()
    return nn.Sequential(*layers, *([end] if end else []))


def xor():
    return dense(2, 2, 2, 1, activation=nn.Sigmoid, end=nn.Sigmoid())


def classifier(*widths):
    return dense(*widths, end=nn.LogSoftmax(1))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10), nn.LogSoftmax(1),
    )  # fmt: skip


class LastStep(nn.Module):
    """A recurrent layer whose last step is classified."""

    def __init__(self, layer, classes):
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(layer.hidden_size, classes)

    def forward(self, x):
        steps, _ = self.layer(x)
        return functional.log_softmax(self.head(steps[-1]), dim=1)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        same = inputs == outputs and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):
        return functional.relu(self.body(x) + self.skip(x))


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.blocks = nn.Sequential(Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        features = self.blocks(self.stem(x)).mean(dim=(2, 3))
        return functional.log_softmax(self.head(features), dim=1)


def convolution(inputs, outputs, kernel, stride=1, groups=1, activation=nn.ReLU6):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs), activation(),
    )  # fmt: skip


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        width = inputs * expansion
        self.body = nn.Sequential(
            convolution(inputs, width, 1) if expansion > 1 else nn.Identity(),
            convolution(width, width, 3, stride, groups=width),
            convolution(width, outputs, 1, activation=nn.Identity),
        )
        self.adds = inputs == outputs and stride == 1

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


class MobileNet(nn.Module):
    """As MobileNetV2, narrower."""

    def __init__(self):
        super().__init__()
        blocks, width = [], 16
        for expansion, outputs, count, stride in [
            (1, 8, 1, 1), (6, 16, 2, 2), (6, 24, 3, 2), (6, 32, 3, 2), (6, 48, 2, 1), (6, 80, 2, 2),
        ]:  # fmt: skip
            for i in range(count):
                blocks.append(InvertedResidual(width, outputs, stride if i == 0 else 1, expansion))
                width = outputs
        self.features = nn.Sequential(
            convolution(3, 16, 3, 2), *blocks, convolution(width, 320, 1)
        )
        self.head = nn.Linear(320, 100)

    def forward(self, x):
        return self.head(self.features(x).mean(dim=(2, 3)))


class Transformer(nn.Module):
    def __init__(self, width=128, steps=64, words=256):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(0.02 * torch.randn(steps, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 512, dropout=0.0, batch_first=True, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        encoded = self.encoder(self.words(x) + self.places)
        return functional.log_softmax(self.head(encoded.mean(dim=1)), dim=1)


@dataclasses.dataclass
class Training:
    name: str
    net: Callable[[], nn.Module]
    x: Callable[[], torch.Tensor]
    target: Callable[[], torch.Tensor]
    optimizer: str  # sgd, momentum or adam
    goal: float  # the share of the best peer's time that ours may take
    loss: str = "nll"
    batch_axis: int = 0
    large_products: bool = False  # some that --products openblas gives away

    def torch_optimizer(self, net):
        if self.optimizer == "adam":
            return torch.optim.Adam(net.parameters(), lr=1e-3)
        return torch.optim.SGD(
            net.parameters(), lr=0.01, momentum=0.9 if self.optimizer == "momentum" else 0
        )

    def options(self):
        rate = "0.001" if self.optimizer == "adam" else "0.01"
        return ["--loss", self.loss, "--optimizer", self.optimizer, "--lr", rate]

    def torch_loss(self):
        return functional.nll_loss if self.loss == "nll" else functional.binary_cross_entropy


def classes(count, samples):
    return lambda: torch.randint(0, count, (samples,))


def sequence(kind):
    return (
        lambda: LastStep(kind(100, 50), 2),
        lambda: torch.rand(23, 10, 100),
        classes(2, 10),
        "sgd",
    )


def images(*shape):
    return lambda: torch.rand(*shape)


TRAINING = [
    Training("XOR 2-2-2-1 sigmoid, batch 1, SGD, bce", xor, images(1, 2),
             lambda: torch.rand(1, 1).round(), "sgd", 0.04, "bce"),
    Training("XOR, batch 4", xor, images(4, 2), lambda: torch.rand(4, 1).round(), "sgd", 0.04,
             "bce"),
    Training("classifier 16-32-8, batch 32, Adam, nll", lambda: classifier(16, 32, 8),
             images(32, 16), classes(8, 32), "adam", 0.15),
    Training("MLP 784-128-10, batch 64, SGD", lambda: classifier(784, 128, 10), images(64, 784),
             classes(10, 64), "sgd", 0.7),
    Training("MLP 784-512-512-10, batch 128, Adam", lambda: classifier(784, 512, 512, 10),
             images(128, 784), classes(10, 128), "adam", 0.85, large_products=True),
    Training("RNN T 23 B 10 I 100 H 50, SGD", *sequence(nn.RNN), 0.45, batch_axis=1),
    Training("GRU T 23 B 10 I 100 H 50, SGD", *sequence(nn.GRU), 0.4, batch_axis=1),
    Training("LSTM T 23 B 10 I 100 H 50, SGD", *sequence(nn.LSTM), 0.4, batch_axis=1),
    Training("LSTM T 50 B 16 I 128 H 256, Adam", lambda: LastStep(nn.LSTM(128, 256), 10),
             images(50, 16, 128), classes(10, 16), "adam", 0.8, batch_axis=1),
    Training("LeNet 28x28, 32 and 64 channels, batch 64, Adam", lenet, images(64, 1, 28, 28),
             classes(10, 64), "adam", 0.5),
    Training("ResNet-8 32x32, batch 32, momentum", ResNet8, images(32, 3, 32, 32), classes(10, 32),
             "momentum", 0.6),
    Training("Transformer d 128, 2 layers, T 64, B 8, Adam", Transformer,
             lambda: torch.randint(0, 256, (8, 64)), classes(10, 8), "adam", 0.7,
             large_products=True),
]  # fmt: skip


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


class Outputs(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


@dataclasses.dataclass
class Inference:
    name: str
    net: Callable[[], nn.Module]
    inputs: tuple
    goal: float
    large_products: bool = False


def square(n, dtype=torch.float32):
    return (torch.rand(n, n, dtype=dtype), torch.rand(n, n, dtype=dtype))


def chain(x):
    for _ in range(500):
        x = torch.tanh(x) + 1
    return x


def functions():
    x = torch.rand(1024, 1024)
    float_goals = {
        "Softmax": (lambda v: torch.softmax(v, -1), 0.9), "Sigmoid": (torch.sigmoid, 0.9),
        "Tanh": (torch.tanh, 0.9), "Relu": (torch.relu, 0.9), "Erf": (torch.erf, 0.9),
        "Gelu": (functional.gelu, 0.9), "Exp": (torch.exp, 0.9), "Log": (torch.log, 0.4),
        "Sin": (torch.sin, 0.4),
    }  # fmt: skip
    for name, (function, goal) in float_goals.items():
        yield Inference(f"{name} of 1,048,576 floats", lambda f=function: Apply(f), (x,), goal)
    for name, function, goal in [("Exp", torch.exp, 0.35), ("Tanh", torch.tanh, 0.4)]:
        yield Inference(
            f"{name} of 1,048,576 doubles", lambda f=function: Apply(f), (x.double(),), goal
        )


def recurrent():
    goals = {
        16: {nn.LSTM: 0.85, nn.GRU: 0.85, nn.RNN: 0.6},
        1: {nn.LSTM: 0.8, nn.GRU: 0.8, nn.RNN: 0.7},
    }
    for batch, layers in goals.items():
        for kind, goal in layers.items():
            yield Inference(f"{kind.__name__} T 50 I 128 H 256 B {batch}",
                            lambda k=kind: Outputs(k(128, 256)),
                            (torch.rand(50, batch, 128),), goal)  # fmt: skip


INFERENCE = [
    Inference("MobileNet, narrow, 128x128", MobileNet, (torch.rand(1, 3, 128, 128),), 0.9),
    Inference("LeNet 28x28, batch 64", lenet, (torch.rand(64, 1, 28, 28),), 0.9),
    Inference("ResNet-8 32x32", ResNet8, (torch.rand(1, 3, 32, 32),), 0.9),
    Inference("conv 3x3, 64 to 64, 56x56, Relu",
              lambda: nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()),
              (torch.rand(1, 64, 56, 56),), 0.95),
    Inference("conv 7x7 stride 2, 3 to 64, 224x224", lambda: nn.Conv2d(3, 64, 7, 2, 3),
              (torch.rand(1, 3, 224, 224),), 0.95),
    Inference("conv 1x1, 256 to 256, 14x14", lambda: nn.Conv2d(256, 256, 1),
              (torch.rand(1, 256, 14, 14),), 0.9),
    Inference("depthwise 3x3, 128, 56x56", lambda: nn.Conv2d(128, 128, 3, padding=1, groups=128),
              (torch.rand(1, 128, 56, 56),), 0.8),
    Inference("MatMul 1024", lambda: Apply(torch.matmul), square(1024), 0.95, True),
    Inference("MatMul 256", lambda: Apply(torch.matmul), square(256), 0.9, True),
    Inference("MatMul 1024, double", lambda: Apply(torch.matmul), square(1024, torch.float64), 0.9,
              True),
    *recurrent(),
    *functions(),
    Inference("chain of 1,000 elementwise nodes on 16 floats", lambda: Apply(chain),
              (torch.rand(16),), 0.01),
]  # fmt: skip


def slug(name):
    return "".join(c if c.isalnum() else "_" for c in name.lower())


def export(net, inputs, folder: pathlib.Path, training=False):
    """Writes model.onnx and x0.npy, x1.npy ... to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mode = torch.onnx.TrainingMode
    net.train(training)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, inputs, str(folder / "model.onnx"), dynamo=False, opset_version=17,
            input_names=[f"x{i}" for i in range(len(inputs))], output_names=["y"],
            training=mode.TRAINING if training else mode.EVAL, do_constant_folding=not training,
        )  # fmt: skip
    for i, x in enumerate(inputs):
        np.save(folder / f"x{i}.npy", x.numpy())
