"""The whole way: PyTorch's file is trained by the command and runs in ONNX Runtime."""

import numpy as np
import torch
from torch import nn

from support import expect_near, initializers, ort_run
from torch_nets import Net, bits, export, make


def xor_net(batch):
    layers = lambda: nn.Sequential(
        nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 12), nn.Tanh(), nn.Linear(12, 1), nn.Sigmoid()
    )
    shape = (4, 2) if batch else (2,)
    return Net(
        layers, lambda rng: {"input": rng.standard_normal(shape).astype(np.float32)}, bits(1), "bce",
        dynamic={"input": {0: "batch"}} if batch else {},
    )  # fmt: skip


X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([[0], [1], [1], [0]], np.float32)


def train_xor(tool, batch, exporter, opset):
    net = xor_net(batch)
    model = tool.path(".onnx")
    export(net, make(net, seed=3), model, exporter, opset)
    data, trained = tool.save({"input": X, "target": Y}), tool.path(".onnx")
    tool(
        "train", model, "--data", data, "--loss", "bce", "--optimizer", "sgd", "--lr", 0.2,
        "--epochs", 2000, "--batch-size", 4 if batch else 1, "-q", "-o", trained,
    )  # fmt: skip

    before, after = initializers(model), initializers(trained)
    assert before.keys() == after.keys()
    assert all(not np.array_equal(before[n], after[n]) for n in before), "a weight did not move"

    ours, theirs = [], []
    for rows in [X] if batch else X:
        (name, answer), *_ = tool.run(trained, {"input": rows}).items()
        ours.append(answer)
        theirs.append(ort_run(trained, {"input": rows})[name])
    ours = np.stack(ours).reshape(Y.shape)
    assert np.array_equal(ours > 0.5, Y > 0.5), f"the answers are {ours.ravel()}"
    # Over all four: ONNX Runtime's sigmoid is near in absolute terms only.
    expect_near("ONNX Runtime's outputs", np.stack(theirs).reshape(Y.shape), ours, 1e-6)


def cases():
    for batch in (True, False):
        for exporter, opset in [("dynamo", 20), ("dynamo", 18), ("legacy", 17), ("legacy", 9)]:
            shape = "batch" if batch else "vector"
            yield (
                f"{shape}_{exporter}_{opset}",
                lambda tool, b=batch, e=exporter, o=opset: train_xor(tool, b, e, o),
            )
