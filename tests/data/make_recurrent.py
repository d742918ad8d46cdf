#!/usr/bin/env python3
"""Writes tests/data/recurrent/torch.npz: recurrent layers and their gradients as PyTorch computes them.

Arrays have the standard's shapes and its order of gates; names are CASE/ARRAY, where a cotangent or
gradient of V is called d_V. Run again only to change the fixture.
"""
import pathlib

import numpy as np
import torch

STEPS, BATCH, INPUTS, HIDDEN = 5, 3, 2, 4
# Where the standard's gates are among PyTorch's.
ORDERS = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 3, 1, 2]}


def reordered(kind, tensor):
    """PyTorch's stacked gates in the standard's order."""
    gates = tensor.reshape(len(ORDERS[kind]), HIDDEN, -1)[ORDERS[kind]]
    return gates.reshape(tensor.shape)


def standard_weights(kind, layer, get):
    """W, R and B of the layer, where get(parameter) is it or its gradient."""
    suffixes = ["l0", "l0_reverse"] if layer.bidirectional else ["l0"]
    part = lambda name: [reordered(kind, get(getattr(layer, f"{name}_{s}"))) for s in suffixes]
    biases = [torch.cat(pair) for pair in zip(part("bias_ih"), part("bias_hh"))]
    return {"W": torch.stack(part("weight_ih")), "R": torch.stack(part("weight_hh")),
            "B": torch.stack(biases)}


def case(kind, bidirectional, lengths, **options):
    torch.manual_seed(len(kind) + bidirectional)
    layer = getattr(torch.nn, kind)(INPUTS, HIDDEN, bidirectional=bidirectional, **options).double()
    directions = 2 if bidirectional else 1
    random = lambda *shape: torch.randn(*shape, dtype=torch.float64)
    inputs = {"X": random(STEPS, BATCH, INPUTS), "initial_h": random(directions, BATCH, HIDDEN)}
    if kind == "LSTM":
        inputs["initial_c"] = random(directions, BATCH, HIDDEN)
    for t in inputs.values():
        t.requires_grad_()
    x = inputs["X"]
    if lengths:
        x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    state = (inputs["initial_h"], inputs["initial_c"]) if kind == "LSTM" else inputs["initial_h"]
    y, last = layer(x, state)
    if lengths:
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, total_length=STEPS)
    y = y.reshape(STEPS, BATCH, directions, HIDDEN).transpose(1, 2)
    outputs = {"Y": y, **dict(zip(["Y_h", "Y_c"], last if kind == "LSTM" else [last]))}
    cotangents = {name: random(*t.shape) for name, t in outputs.items()}
    sum((outputs[n] * cotangents[n]).sum() for n in outputs).backward()
    arrays = {**inputs, **standard_weights(kind, layer, lambda p: p), **outputs}
    gradients = {n: t.grad for n, t in inputs.items()}
    gradients |= standard_weights(kind, layer, lambda p: p.grad)
    arrays |= {f"d_{n}": t for n, t in {**cotangents, **gradients}.items()}
    if lengths:
        arrays["sequence_lens"] = torch.tensor(lengths, dtype=torch.int32)
    return {name: t.detach().numpy() for name, t in arrays.items()}


arrays = {}
for title, kind, options in [("RNN_tanh", "RNN", {}), ("RNN_relu", "RNN", {"nonlinearity": "relu"}),
                             ("GRU", "GRU", {}), ("LSTM", "LSTM", {})]:
    for bidirectional in [False, True]:
        for lengths in [None, [3, 5, 1]]:
            name = title + ("_both" if bidirectional else "") + ("_lengths" if lengths else "")
            for key, value in case(kind, bidirectional, lengths, **options).items():
                arrays[f"{name}/{key}"] = value
folder = pathlib.Path(__file__).parent / "recurrent"
folder.mkdir(exist_ok=True)
np.savez_compressed(folder / "torch.npz", **arrays)
