"""What `train` can be told, against PyTorch: losses, reductions, class axes, optimizers' options,
parameters left alone, Dropout."""

import torch
import torch.nn.functional as F
from torch import nn

import net_checks
from torch_nets import OPTIMIZERS, Net, bits, classes, floats, targets


def layers(*last):
    return lambda: nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4), *last)


class OwnLoss(nn.Module):
    """The loss is the net's output, and the target one of its inputs."""

    def __init__(self):
        super().__init__()
        self.net = layers()()

    def forward(self, x, wanted):
        return ((self.net(x) - wanted) ** 2).mean()


class Channels(nn.Module):
    """Scores of classes on axis 1, with time behind them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


class Dropped(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.b(F.dropout(torch.relu(self.a(x)), 0.4, self.training))


def with_wanted(rng):
    return {**floats(7, 5)(rng), "wanted": targets(7, 4)(rng)}


def probabilities(rng):
    wanted = rng.random((7, 4)) + 0.1
    return (wanted / wanted.sum(1, keepdims=True)).astype("float32")


def signs(rng):
    return 2 * bits(7, 4)(rng) - 1


def last_axis(y, t):
    return F.cross_entropy(y.flatten(0, -2), t.flatten())


def weight_of(y, last=0.0):
    return torch.tensor([1, 0.5, 2, last], dtype=y.dtype)


X = floats(7, 5)
REAL, CLASS = targets(7, 4), classes(4, 7)
LOSSES = {
    "mse": Net(layers(), X, REAL, "mse"),
    "mae": Net(layers(), X, REAL, "mae"),
    "huber": Net(layers(), X, REAL, "huber"),
    "bce": Net(layers(nn.Sigmoid()), X, bits(7, 4), "bce"),
    "bce_with_logits": Net(layers(), X, bits(7, 4), "bce_with_logits"),
    "nll": Net(layers(nn.LogSoftmax(dim=1)), X, CLASS, "nll"),
    "nll_probs": Net(layers(nn.Softmax(dim=1)), X, CLASS, "nll_probs"),
    "cross_entropy": Net(layers(), X, CLASS, "cross_entropy"),
    "sum_squared": Net(layers(), X, REAL, "sum_squared", rate=0.02),
    "kl": Net(layers(nn.LogSoftmax(dim=1)), X, probabilities, "kl"),
    "hinge": Net(
        layers(), X, signs, "hinge", torch_loss=lambda y, t: torch.clamp(1 - y * t, min=0).mean()
    ),
    "output": Net(OwnLoss, with_wanted, None, "output"),
}

SUM = ("--reduction", "sum")
OPTIONS = {
    "mse_sum": Net(
        layers(), X, REAL, "mse", rate=0.02, options=SUM,
        torch_loss=lambda y, t: F.mse_loss(y, t, reduction="sum"),
    ),
    "cross_entropy_sum": Net(
        layers(), X, CLASS, "cross_entropy", rate=0.1, options=SUM,
        torch_loss=lambda y, t: F.cross_entropy(y, t, reduction="sum"),
    ),
    # Without an option: the axis that the target lacks, here 1.
    "class_axis": Net(Channels, floats(2, 3, 6), classes(4, 2, 6), "cross_entropy"),
    # Axes 1 and 2 are both of length 4.
    "class_axis_square": Net(Channels, floats(2, 3, 4), classes(4, 2, 4), "cross_entropy"),
    "class_axis_last": Net(
        layers(), floats(2, 4, 5), classes(4, 2, 4), "cross_entropy",
        options=("--class-axis", -1), torch_loss=last_axis,
    ),
    "label_smoothing": Net(
        layers(), X, CLASS, "cross_entropy", options=("--label-smoothing", 0.2),
        torch_loss=lambda y, t: F.cross_entropy(y, t, label_smoothing=0.2),
    ),
    "class_weights": Net(
        layers(), X, CLASS, "cross_entropy", options=("--class-weights", "1,0.5,2,0"),
        torch_loss=lambda y, t: F.cross_entropy(y, t, weight_of(y)),
    ),
    "all_of_them": Net(
        Channels, floats(2, 3, 6), classes(4, 2, 6), "cross_entropy",
        options=("--class-weights", "1,0.5,2,0.25", "--label-smoothing", 0.1, "--ignore-index", 2),
        torch_loss=lambda y, t: F.cross_entropy(
            y, t, weight_of(y, 0.25), ignore_index=2, label_smoothing=0.1
        ),
    ),
    "all_of_them_sum": Net(
        layers(), X, CLASS, "cross_entropy", rate=0.1,
        options=("--label-smoothing", 0.1, "--ignore-index", 1, "--reduction", "sum"),
        torch_loss=lambda y, t: F.cross_entropy(
            y, t, ignore_index=1, label_smoothing=0.1, reduction="sum"
        ),
    ),
    "nll_weights": Net(
        layers(nn.LogSoftmax(dim=1)), X, CLASS, "nll",
        options=("--class-weights", "1,0.5,2,0", "--ignore-index", 0),
        torch_loss=lambda y, t: F.nll_loss(y, t, weight_of(y), ignore_index=0),
    ),
    "freeze": Net(
        layers(), X, REAL, "mse", frozen=("0.weight", "0.bias"), options=("--freeze", "0.*")
    ),
    "only": Net(
        layers(), X, REAL, "mse", frozen=("0.weight", "2.bias"),
        options=("--only", "0.bias,2.weight"),
    ),
    "only_and_freeze": Net(
        layers(), X, REAL, "mse", frozen=("0.weight", "0.bias", "2.weight"),
        options=("--only", "2.*", "--freeze", "2.weight"),
    ),
}  # fmt: skip

# The file has Dropout nodes in training mode.
DROPOUT = {
    "dropout_off": Net(
        Dropped, X, CLASS, "cross_entropy", exported="train", options=("--dropout", "off")
    )
}


def cases():
    every = list(OPTIMIZERS)
    yield from net_checks.cases(LOSSES, [("dynamo", 20), ("legacy", 17)], every)
    yield from net_checks.cases(OPTIONS, [("dynamo", 20), ("legacy", 12)], ["adam_all", "momentum"])
    yield from net_checks.cases(DROPOUT, [("legacy", 17), ("legacy", 11)], ["sgd", "adamw"])
