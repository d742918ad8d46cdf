"""Convolutional nets of PyTorch: strides, padding, dilation, groups, pools, batch norms."""

import torch
from torch import nn

import net_checks
from torch_nets import Net, classes, floats, targets


def convolutions():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 8, (3, 1), padding=(2, 0), dilation=(2, 1), groups=2, bias=False),
        nn.Tanh(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(8, 8, 1),
        nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False),
        nn.Flatten(),
        nn.LazyLinear(5),
    )


def one_dimension():
    return nn.Sequential(
        nn.Conv1d(2, 5, 4, stride=3), nn.ELU(), nn.MaxPool1d(2), nn.Conv1d(5, 3, 2), nn.Flatten(),
        nn.LazyLinear(2),
    )  # fmt: skip


class Residual(nn.Module):
    """Batch norms that are kept, in training mode: batch statistics, running ones updated."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(4, momentum=0.3)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        x = torch.relu(self.bn1(self.stem(x)))
        x = torch.relu(x + self.bn2(self.conv(x)))
        return self.out(x.mean(dim=(2, 3)))


def built(module, *shape):
    """Lazy layers get their size, and so their weights, from one run."""

    def make():
        net = module()
        net(torch.zeros(shape))
        return net

    return make


NETS = {
    "conv2d": Net(built(convolutions, 2, 3, 13, 11), floats(2, 3, 13, 11), targets(2, 5), "mse"),
    "conv1d": Net(built(one_dimension, 3, 2, 40), floats(3, 2, 40), classes(2, 3), "cross_entropy"),
}

def residual(**options):
    return Net(Residual, floats(4, 1, 8, 8), classes(3, 4), "cross_entropy", **options)


# With their batch norms kept, which the legacy exporter does.
KEPT = {
    # The statistics move as PyTorch's do, from unbiased variances: the file's producer says so.
    "batchnorm": residual(trained="train"),
    "batchnorm_unbiased": residual(trained="train", options=("--bn-variance", "unbiased")),
    "batchnorm_frozen": residual(options=("--batchnorm", "frozen")),
    "batchnorm_in_training_mode": residual(exported="train", trained="train"),
}


def folded(tool):
    """The default exporter folds batch norms into convolutions: the net runs as it stands."""
    net_checks.check_run(tool, residual(), "dynamo", 20)


def cases():
    optimizers = ["sgd", "adam", "momentum"]
    yield from net_checks.cases(NETS, [("dynamo", 20), ("legacy", 17), ("legacy", 10)], optimizers, True)
    yield from net_checks.cases(KEPT, [("legacy", 17), ("legacy", 13)], optimizers)
    yield "run_batchnorm_folded", folded
