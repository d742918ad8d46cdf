"""Writes the models and the data of this folder, by both exporters of PyTorch. export.py [FOLDER]

Sequences are [time, batch, features], as in the program behind them: 23 steps of 100 features,
hidden 50, 2 classes; both axes may have any length, but where has_fixed_time() says otherwise.
"""

import logging
import pathlib
import sys
import warnings

import numpy as np
import torch
from torch import nn

STEPS, BATCH, FEATURES, HIDDEN, CLASSES = 23, 10, 100, 50, 2


class RNN_V1(nn.Module):
    """One step."""

    def __init__(self):
        super().__init__()
        self.i2h = nn.Linear(FEATURES, HIDDEN)
        self.h2h = nn.Linear(HIDDEN, HIDDEN)
        self.h2o = nn.Linear(HIDDEN, CLASSES)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, x, hidden):
        hidden = torch.tanh(self.i2h(x) + self.h2h(hidden))
        return self.softmax(self.h2o(hidden)), hidden


class RNN_V2(RNN_V1):
    """A loop over the steps, which the exporter unrolls.

    Without a state the default exporter computes `h2h` of the first one, zeros, and writes the result:
    its bias is a parameter of its own in the file. With one nothing is computed ahead.
    """

    def forward(self, x, hidden=None):
        hidden, states = torch.zeros(1, HIDDEN) if hidden is None else hidden, []
        for step in range(STEPS):
            hidden = torch.tanh(self.i2h(x[step]) + self.h2h(hidden))
            states.append(hidden.unsqueeze(0))
        return self.softmax(self.h2o(hidden)), torch.cat(states, dim=0)


class RNN_V3(nn.Module):
    """nn.RNN; the axis 1 of its LogSoftmax is the batch, as the program has it."""

    def __init__(self):
        super().__init__()
        self.rec = nn.RNN(FEATURES, HIDDEN)
        self.h2o = nn.Linear(HIDDEN, CLASSES)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, x):
        states, last = self.rec(x)
        return self.softmax(self.h2o(last)), states


class Classifier(nn.Module):
    """Put right, for any kind and depth: the last layer's last state, log-probabilities over classes.

    `every`: one answer a step (many to many), as logits. `stream`: the states come in and go out.
    """

    def __init__(self, kind, layers=1, bidirectional=False, every=False, stream=False):
        super().__init__()
        self.rec = kind(FEATURES, HIDDEN, num_layers=layers, bidirectional=bidirectional)
        self.h2o = nn.Linear(HIDDEN * (2 if bidirectional else 1), CLASSES)
        self.bidirectional, self.every, self.stream = bidirectional, every, stream

    def forward(self, x, *state):
        given = (state if isinstance(self.rec, nn.LSTM) else state[0]) if state else None
        outputs, last = self.rec(x, given)
        if self.every:
            answer = self.h2o(outputs)
        else:
            hidden = last[0] if isinstance(last, tuple) else last
            final = torch.cat([hidden[-2], hidden[-1]], dim=-1) if self.bidirectional else hidden[-1]
            answer = torch.log_softmax(self.h2o(final), dim=-1)
        if not self.stream:
            return answer
        return (answer, *last) if isinstance(last, tuple) else (answer, last)


KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
SHAPES = {"": {}, "2": {"layers": 2}, "_bi": {"bidirectional": True}}
# Name: the module, and whether an initial state comes in.
MODELS = {
    "rnn_v1": (RNN_V1, True),
    "rnn_v2": (RNN_V2, False),
    "rnn_v2_given": (RNN_V2, True),
    "rnn_v3": (RNN_V3, False),
    **{
        f"{kind}{shape}": (lambda k=module, o=options: Classifier(k, **o), False)
        for kind, module in KINDS.items()
        for shape, options in SHAPES.items()
    },
    **{
        f"{kind}_many_to_many": (lambda k=module: Classifier(k, every=True), False)
        for kind, module in KINDS.items()
    },
    **{
        f"{kind}_stream": (lambda k=module: Classifier(k, every=True, stream=True), True)
        for kind, module in KINDS.items()
    },
}
# The files that lie in this folder.
STORED = {
    "rnn_v1": "dynamo", "rnn_v2": "dynamo", "rnn_v3": "legacy", "rnn": "legacy",
    "lstm": "dynamo", "gru": "dynamo", "lstm2": "legacy", "gru_bi": "legacy",
    "lstm_many_to_many": "legacy", "gru_stream": "legacy", "lstm_stream": "legacy",
}  # fmt: skip


def example(name):
    """Inputs by name, with the names of their axes of any length."""
    module, given = MODELS[name]
    if name == "rnn_v1":
        return {"x": torch.rand(BATCH, FEATURES), "h0": torch.zeros(BATCH, HIDDEN)}, {0: "batch"}, {0: "batch"}
    inputs = {"x": torch.rand(STEPS, BATCH, FEATURES)}
    if name == "rnn_v2_given":
        inputs["h0"] = torch.zeros(BATCH, HIDDEN)
        return inputs, {0: "time", 1: "batch"}, {0: "batch"}
    if given:
        inputs["h0"] = torch.zeros(1, BATCH, HIDDEN)
        if name.startswith("lstm"):
            inputs["c0"] = torch.zeros(1, BATCH, HIDDEN)
    return inputs, {0: "time", 1: "batch"}, {1: "batch"}


def export(name, folder, exporter, seed=0, opset=20):
    """Writes NAME.onnx and returns the module."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.manual_seed(seed)
    module = MODELS[name][0]().eval()
    inputs, axes, state_axes = example(name)
    path = str(pathlib.Path(folder) / f"{name}.onnx")
    names = {"input_names": list(inputs), "output_names": output_names(name)}
    axes = {1: "batch"} if has_fixed_time(name, exporter) else axes
    by_name = {n: axes if n == "x" else state_axes for n in inputs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            dims = {d: torch.export.Dim(d) for d in ("time", "batch")}
            shapes = [{i: dims[d] for i, d in by_name[n].items()} for n in inputs]
            # *state takes its shapes as one tuple.
            grouped = name.endswith("_stream")
            shapes = (shapes[0], tuple(shapes[1:])) if grouped else tuple(shapes)
            torch.onnx.export(
                module, tuple(inputs.values()), path, **names, opset_version=opset, verbose=False,
                dynamic_shapes=shapes, external_data=False,
            )  # fmt: skip
        else:
            torch.onnx.export(
                module, tuple(inputs.values()), path, **names, opset_version=opset, dynamo=False,
                dynamic_axes=by_name,
            )  # fmt: skip
    return module


def has_fixed_time(name, exporter):
    """Loops are unrolled, by the default exporter also nn.RNN; and where the outputs of all steps are
    used, if only by a second layer, it writes their number into a Reshape."""
    if exporter == "legacy":
        return name.startswith("rnn_v2")
    return name not in ("rnn_v1", "lstm", "gru")


def output_names(name):
    if name.startswith("rnn_v"):
        return ["output", "hidden" if name == "rnn_v1" else "allh"]
    states = ["h1", "c1"] if name.startswith("lstm") else ["h1"]
    return ["output", *(states if name.endswith("_stream") else [])]


def remember(samples, seed):
    """A task that needs memory: the first step says the class, 22 steps of noise follow.

    Of the first step's features 0 to 39 the even ones are set for class 0, the odd ones for class
    1. `y` is the class, `every` the same at every step, `h0` and `c0` are states to start from.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, samples)
    x = (rng.random((STEPS, samples, FEATURES)) < 0.02).astype(np.uint8)
    x[0, :, :40] = np.arange(40) % 2 == y[:, None]
    zeros = np.zeros((1, samples, HIDDEN), np.float32)
    return {"x": x, "y": y, "every": np.repeat(y[None], STEPS, 0), "h0": zeros, "c0": zeros}


def write_data(folder):
    np.savez_compressed(pathlib.Path(folder) / "train.npz", **remember(400, 1))
    np.savez_compressed(pathlib.Path(folder) / "test.npz", **remember(200, 2))


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    for model, by in STORED.items():
        export(model, target, by)
    write_data(target)
