"""The training step of every stored file that trains, as standard ONNX."""

import json

import numpy as np

import steps
from test_corpus import CORPUS, batches_of, graph_of, training_options


def check(tool, folder):
    about = json.loads((folder / "train" / "train.json").read_text())
    output = graph_of(folder).output[about["output_index"]].name
    trainable = tool.path(".txt")
    trainable.write_text("\n".join(about["trainable"]) + "\n")
    batches, targets = batches_of(folder, about)
    options = training_options(folder, about, output)
    emit_options = ["--wrt", f"@{trainable}"]
    if targets is not None:
        target = tool.path(".npy")
        np.save(target, targets[0])
        emit_options += ["--target", target]
    train_options = ["--only", f"@{trainable}", "--unshare", "never"]
    steps.check(
        tool, folder / "model.onnx", batches, targets, options, emit_options, train_options,
        about["suggested_atol"],
    )  # fmt: skip


def cases():
    for folder in map(CORPUS.joinpath, (CORPUS / "supported.txt").read_text().split()):
        if (folder / "train").is_dir():
            yield folder.name, lambda tool, f=folder: check(tool, f)
