"""Exports xor.onnx, the net of fit_bench.cpp: 2-2-2-1, sigmoids, any number of samples."""

import pathlib

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Sigmoid())
torch.onnx.export(
    net,
    (torch.zeros(3, 2),),
    pathlib.Path(__file__).parent / "xor.onnx",
    input_names=["x"],
    output_names=["y"],
    dynamic_shapes=({0: torch.export.Dim("batch")},),
    external_data=False,
)
