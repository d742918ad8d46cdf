"""Recurrent nets and control flow of PyTorch."""

import numpy as np
import torch
from torch import nn

import net_checks
from torch_nets import Net, classes, floats, targets


class Recurrent(nn.Module):
    """A recurrent layer from zero states, with a linear layer on all of its outputs."""

    def __init__(self, kind, inputs, hidden, **options):
        super().__init__()
        self.rnn = kind(inputs, hidden, **options)
        self.out = nn.Linear(hidden * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, x):
        h, _ = self.rnn(x)
        return self.out(h)


class LastOfGiven(nn.Module):
    """A recurrent layer from given states; the last output is classified."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 6)
        self.out = nn.Linear(6, 4)

    def forward(self, x, h0):
        h, _ = self.gru(x, h0)
        return self.out(h[-1])


class CellInLoop(nn.Module):
    """A cell in a loop over time; scripted, the legacy exporter writes it as Loop."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.cell = nn.Linear(inputs + hidden, hidden)
        self.out = nn.Linear(hidden, 2)
        self.hidden = hidden

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(x.size(1), self.hidden, dtype=x.dtype)
        for t in range(x.size(0)):
            h = torch.tanh(self.cell(torch.cat([x[t], h], dim=1)))
        return self.out(h)


def given(rng):
    return {
        "x": rng.standard_normal((5, 2, 3)).astype(np.float32),
        "h0": rng.standard_normal((1, 2, 6)).astype(np.float32),
    }


def layer(kind, **options):
    return lambda: Recurrent(kind, 4, 5, **options)


SEQUENCE = floats(6, 3, 4)
NETS = {
    "lstm": Net(layer(nn.LSTM), SEQUENCE, targets(6, 3, 3), "mse"),
    "lstm2_bi": Net(
        layer(nn.LSTM, num_layers=2, bidirectional=True), SEQUENCE, targets(6, 3, 3), "mse"
    ),
    "gru": Net(layer(nn.GRU), SEQUENCE, targets(6, 3, 3), "mse"),
    "gru2_batch_first": Net(
        layer(nn.GRU, num_layers=2, batch_first=True), floats(3, 6, 4), targets(3, 6, 3), "mse"
    ),
    "gru_given": Net(LastOfGiven, given, classes(4, 2), "cross_entropy"),
}
# The default exporter unrolls nn.RNN and folds its first step, so it no longer trains as PyTorch's.
LEGACY_NETS = {
    "rnn_tanh": Net(layer(nn.RNN), SEQUENCE, targets(6, 3, 3), "mse"),
    "rnn_relu_bi": Net(
        layer(nn.RNN, nonlinearity="relu", bidirectional=True), SEQUENCE, targets(6, 3, 3), "mse"
    ),
    "loop": Net(
        lambda: torch.jit.script(CellInLoop(4, 5)),
        SEQUENCE, targets(3, 2), "mse", dynamic={"x": {0: "t"}},
    ),
}  # fmt: skip


def cases():
    optimizers = ["adam", "sgd"]
    yield from net_checks.cases(NETS, [("dynamo", 20), ("legacy", 17)], optimizers)
    yield from net_checks.cases(LEGACY_NETS, [("legacy", 17), ("legacy", 13)], optimizers)
