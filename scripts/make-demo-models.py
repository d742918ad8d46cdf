#!/usr/bin/env python3
"""Writes the model and the data of `make demo` afresh: scripts/make-demo-models.py [DIR]

Needs torch 2.13, onnx and onnxscript. DIR (default: examples) gets models/xor.onnx with its external
data file models/xor.onnx.data, as torch.onnx.export writes them by default, and data/xor.npz. The
net has random weights from a fixed seed: it is wrong until it is trained.
"""

import pathlib
import sys

import numpy as np
import torch
from torch import nn


class Xor(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden1 = nn.Linear(2, 16)
        self.hidden2 = nn.Linear(16, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        h = torch.tanh(self.hidden1(x))
        h = torch.tanh(self.hidden2(h))
        return torch.sigmoid(self.out(h))


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples")
    (root / "models").mkdir(parents=True, exist_ok=True)
    (root / "data").mkdir(parents=True, exist_ok=True)

    torch.manual_seed(0)
    torch.onnx.export(
        Xor().eval(),
        (torch.zeros(4, 2),),
        str(root / "models" / "xor.onnx"),
        input_names=["x"],
        output_names=["y"],
        dynamic_shapes={"x": {0: "batch"}},
    )

    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    target = (x.sum(1, keepdims=True) == 1).astype(np.float32)
    np.savez(root / "data" / "xor.npz", x=x, target=target)


if __name__ == "__main__":
    main()
