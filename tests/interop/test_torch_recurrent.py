"""Recurrent layers of PyTorch: kinds, depths, directions, layouts, given states, lengths, cells."""

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import net_checks
from torch_nets import Net, classes, floats, targets

OUT = 3


class Recurrent(nn.Module):
    """A recurrent layer from zero or given states, a linear layer on its outputs, its last states."""

    def __init__(self, kind, inputs, hidden, **options):
        super().__init__()
        self.rnn = kind(inputs, hidden, **options)
        self.out = nn.Linear(hidden * (2 if options.get("bidirectional") else 1), OUT)

    def forward(self, x, *states):
        given = None
        if states:
            given = tuple(states) if isinstance(self.rnn, nn.LSTM) else states[0]
        h, last = self.rnn(x, given)
        return self.out(h), last


class LastOfGiven(nn.Module):
    """A recurrent layer from given states; the last output is classified."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 6)
        self.out = nn.Linear(6, 4)

    def forward(self, x, h0):
        h, _ = self.gru(x, h0)
        return self.out(h[-1])


class Lengths(nn.Module):
    """Sequences of different lengths, packed: the file's recurrent nodes get sequence_lens."""

    def __init__(self, kind, **options):
        super().__init__()
        self.rnn = kind(4, 5, **options)
        self.out = nn.Linear(10 if options.get("bidirectional") else 5, OUT)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, enforce_sorted=True)
        h, _ = self.rnn(packed)
        h, _ = pad_packed_sequence(h, total_length=x.shape[0])
        return self.out(h)


class Masked(nn.Module):
    """Tokens through an embedding and an LSTM; padding is left out of the mean over time."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(9, 4)
        self.rnn = nn.LSTM(4, 6, batch_first=True, bidirectional=True)
        self.out = nn.Linear(12, OUT)

    def forward(self, tokens, mask):
        h, _ = self.rnn(self.emb(tokens))
        keep = mask.unsqueeze(-1)
        return torch.log_softmax(self.out((h * keep).sum(1) / keep.sum(1)), dim=-1)


class Cells(nn.Module):
    """A cell for each time step, unrolled by the exporter."""

    def __init__(self, kind):
        super().__init__()
        self.cell = kind(4, 5)
        self.out = nn.Linear(5, OUT)

    def forward(self, x, h):
        state = (h, h * 0.5) if isinstance(self.cell, nn.LSTMCell) else h
        outputs = []
        for step in x:
            state = self.cell(step, state)
            outputs.append(self.out(state[0] if isinstance(state, tuple) else state))
        return torch.stack(outputs)


class Seq2Seq(nn.Module):
    """An encoder whose last state a decoder starts from, fed with the right answers."""

    def __init__(self):
        super().__init__()
        self.source, self.aim = nn.Embedding(8, 4), nn.Embedding(7, 3)
        self.encoder, self.decoder = nn.GRU(4, 6), nn.GRU(3, 6)
        self.out = nn.Linear(6, 7)

    def forward(self, source, aim):
        _, state = self.encoder(self.source(source))
        h, _ = self.decoder(self.aim(aim), state)
        return self.out(h)


def state_names(kind):
    return ("h0", "c0") if kind is nn.LSTM else ("h0",)


def layer(kind, steps=6, batch=3, inputs=4, hidden=5, given=False, dynamic=False, **options):
    """A Net of one layer; `given`: its initial states are inputs."""
    first = options.get("batch_first", False)
    shape = (batch, steps) if first else (steps, batch)
    rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)

    def make_inputs(rng):
        arrays = floats(*shape, inputs)(rng)
        for name in state_names(kind) if given else ():
            arrays[name] = rng.standard_normal((rows, batch, hidden)).astype(np.float32)
        return arrays

    return Net(
        lambda: Recurrent(kind, inputs, hidden, **options), make_inputs,
        targets(*shape, OUT), "mse", dynamic={"x": {1 if first else 0: "t"}} if dynamic else {},
    )  # fmt: skip


def lengths_of(steps, lengths):
    def make_inputs(rng):
        return {**floats(steps, len(lengths), 4)(rng), "lengths": np.array(lengths)}

    return make_inputs


def masked_tokens(rng):
    mask = (np.arange(6) < np.array([[6], [3], [1], [5]])).astype(np.float32)
    return {"tokens": rng.integers(0, 9, (4, 6)).astype(np.int64), "mask": mask}


def cell_inputs(rng):
    return {**floats(4, 2, 4)(rng), "h": rng.standard_normal((2, 5)).astype(np.float32)}


def sentences(rng):
    return {
        "source": rng.integers(0, 8, (5, 3)).astype(np.int64),
        "aim": rng.integers(0, 7, (4, 3)).astype(np.int64),
    }


def given(rng):
    return {
        "x": rng.standard_normal((5, 2, 3)).astype(np.float32),
        "h0": rng.standard_normal((1, 2, 6)).astype(np.float32),
    }


def class_second(y, t):
    return nn.functional.cross_entropy(y.flatten(0, 1), t.flatten())


NETS = {
    "lstm": layer(nn.LSTM),
    "lstm2_bi": layer(nn.LSTM, num_layers=2, bidirectional=True, steps=4, batch=1),
    "lstm_given": layer(nn.LSTM, given=True, hidden=1, inputs=1),
    "lstm2_batch_first_given": layer(nn.LSTM, num_layers=2, batch_first=True, given=True, steps=1),
    "lstm_bi_given": layer(nn.LSTM, bidirectional=True, given=True, hidden=17, inputs=9),
    "lstm_no_bias": layer(nn.LSTM, bias=False, batch=5),
    "gru": layer(nn.GRU),
    "gru2_batch_first": layer(nn.GRU, num_layers=2, batch_first=True, hidden=8),
    "gru_bi_given": layer(nn.GRU, bidirectional=True, given=True, steps=3),
    "gru2_bi_given": layer(nn.GRU, num_layers=2, bidirectional=True, given=True, batch=2),
    "rnn_given": layer(nn.RNN, given=True),
    "rnn_relu_given": layer(nn.RNN, nonlinearity="relu", given=True, batch_first=True),
    "last_of_given": Net(LastOfGiven, given, classes(4, 2), "cross_entropy"),
    "masked": Net(Masked, masked_tokens, classes(OUT, 4), "nll"),
    "rnn_cells": Net(lambda: Cells(nn.RNNCell), cell_inputs, targets(4, 2, OUT), "mse"),
    "gru_cells": Net(lambda: Cells(nn.GRUCell), cell_inputs, targets(4, 2, OUT), "mse"),
    "lstm_cells": Net(lambda: Cells(nn.LSTMCell), cell_inputs, targets(4, 2, OUT), "mse"),
    "seq2seq": Net(
        Seq2Seq, sentences, classes(7, 4, 3), "cross_entropy",
        options=("--class-axis", 2), torch_loss=class_second,
    ),
}  # fmt: skip

# The default exporter unrolls nn.RNN and folds its first step, so it no longer trains as PyTorch's.
FOLDED = {
    "rnn": layer(nn.RNN),
    "rnn2_relu_bi": layer(nn.RNN, nonlinearity="relu", bidirectional=True, num_layers=2, steps=3),
}

# What only the legacy exporter can write.
LEGACY = {
    **FOLDED,
    "rnn_batch_first": layer(nn.RNN, batch_first=True, num_layers=2, given=True),
    "lstm_any_length": layer(nn.LSTM, dynamic=True),
    "gru_any_length": layer(nn.GRU, bidirectional=True, dynamic=True),
    "lstm_lengths": Net(
        lambda: Lengths(nn.LSTM), lengths_of(6, [6, 4, 1]), targets(6, 3, OUT), "mse"
    ),
    "gru_bi_lengths": Net(
        lambda: Lengths(nn.GRU, bidirectional=True),
        lengths_of(5, [5, 5, 3, 2]), targets(5, 4, OUT), "mse",
    ),
    "rnn_lengths": Net(lambda: Lengths(nn.RNN), lengths_of(4, [4, 2]), targets(4, 2, OUT), "mse"),
}  # fmt: skip


def pick(nets, *names):
    return {name: nets[name] for name in names}


def cases():
    optimizers = ["adam", "sgd", "momentum", "rmsprop"]
    layers = pick(NETS, "lstm", "gru2_bi_given", "last_of_given", "masked")
    yield from net_checks.cases(NETS, [("dynamo", 20), ("legacy", 17)], optimizers, True)
    yield from net_checks.cases(LEGACY, [("legacy", 17), ("legacy", 13)], optimizers, True)
    yield from net_checks.cases(layers, [("dynamo", 23), ("legacy", 9), ("legacy", 20)], ["sgd"])
    yield from net_checks.cases(FOLDED, [("dynamo", 20)], [])
