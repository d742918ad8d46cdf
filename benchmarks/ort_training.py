#!/usr/bin/env python3
"""Trains model.onnx of a folder in onnxruntime-training, for tables.py, which runs this with a
Python that has it: ort_training.py FOLDER LOSS OPTIMIZER RATE

The first line printed has the losses of five steps on x0.npy and target.npy. Each line read then is
a round: the best time of a step in seconds is printed. What cannot be trained here ends with a line
on stderr.

The last activation is taken off and part of the loss, as this runtime has it (cross entropy of
logits): the same function. Nodes get the further outputs that their gradients read, and AdamW the
mode in which, without decay, it is Adam.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnxruntime.training import artifacts, onnxblock
from onnxruntime.training.api import CheckpointState, Module, Optimizer
from timing import best_time

LOSSES = {
    "nll": ("LogSoftmax", artifacts.LossType.CrossEntropyLoss),
    "bce": ("Sigmoid", artifacts.LossType.BCEWithLogitsLoss),
}
OPTIMIZERS = {
    "sgd": lambda: onnxblock.optim.SGD(),
    "adam": lambda: onnxblock.optim.AdamW(eps=1e-8, weight_decay=0.0),
}
WITHOUT_GRADIENT = {"RNN"}
OUTPUTS = {"Dropout": 2, "LayerNormalization": 3}


def without_last_activation(model, kind):
    last = model.graph.node.pop()
    assert last.op_type == kind, last.op_type
    model.graph.output[0].name = last.input[0]


def with_all_outputs(model):
    for node in model.graph.node:
        for i in range(len(node.output), OUTPUTS.get(node.op_type, 0)):
            node.output.append(f"{node.output[0]}/{i}")


def like_torch(path):
    model = onnx.load(path)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "adam_mode":
                attribute.i = 0
    onnx.save(model, path)


def write_artifacts(folder, loss, optimizer):
    model = onnx.load(folder / "model.onnx")
    if missing := WITHOUT_GRADIENT & {node.op_type for node in model.graph.node}:
        sys.exit(f"it has no gradient of {', '.join(missing)}")
    if optimizer not in OPTIMIZERS:
        sys.exit(f"it has no optimizer {optimizer}")
    activation, loss_type = LOSSES[loss]
    without_last_activation(model, activation)
    with_all_outputs(model)
    artifacts.generate_artifacts(
        model,
        requires_grad=[w.name for w in model.graph.initializer if w.data_type == 1],
        loss=loss_type,
        optimizer=OPTIMIZERS[optimizer](),
        artifact_directory=folder,
    )
    like_torch(folder / "optimizer_model.onnx")


def trainer(folder, rate):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    state = CheckpointState.load_checkpoint(folder / "checkpoint")
    module = Module(folder / "training_model.onnx", state, session_options=options)
    module.train()
    optimizer = Optimizer(folder / "optimizer_model.onnx", module)
    optimizer.set_learning_rate(rate)
    x, target = (np.load(folder / f"{name}.npy") for name in ("x0", "target"))

    def step():
        loss = module(x, target)
        optimizer.step()
        module.lazy_reset_grad()
        return float(loss)

    return step


def main():
    folder = pathlib.Path(sys.argv[1])
    loss, optimizer, rate = sys.argv[2:]
    onnxruntime.set_default_logger_severity(3)
    try:
        write_artifacts(folder, loss, optimizer)
        step = trainer(folder, float(rate))
        losses = [step() for _ in range(5)]
    except RuntimeError as error:
        sys.exit(str(error).strip().splitlines()[0])
    print(json.dumps(losses), flush=True)
    for _ in sys.stdin:
        print(best_time(step), flush=True)


if __name__ == "__main__":
    main()
