"""Nets quantized by ONNX Runtime's tools in all their ways, against ONNX Runtime."""

import logging

import numpy as np
import onnx
import torch
from onnxruntime import quantization
from torch import nn

from support import ort_run


class Samples(quantization.CalibrationDataReader):
    def __init__(self, shape):
        rng = np.random.default_rng(1)
        batches = [{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(3)]
        self.rest = iter(batches)

    def get_next(self):
        return next(self.rest, None)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)

    def forward(self, x):
        return self.layer(x)


NETS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(20, 33), nn.ReLU(), nn.Linear(33, 7)), (5, 20)),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 12, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(300, 9),
        ),
        (2, 3, 14, 14),
    ),
    "attention": (Attention, (2, 6, 16)),
}  # fmt: skip


def quantized(tool, net):
    make, shape = NETS[net]
    torch.manual_seed(0)
    plain, prepared = tool.path(".onnx"), tool.path(".onnx")
    torch.onnx.export(make().eval(), (torch.randn(*shape),), str(plain), dynamo=False,
                      opset_version=17, input_names=["x"], output_names=["y"])  # fmt: skip
    quantization.quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
    for form in (quantization.QuantFormat.QDQ, quantization.QuantFormat.QOperator):
        for activation in (quantization.QuantType.QUInt8, quantization.QuantType.QInt8):
            path = tool.path(".onnx")
            quantization.quantize_static(
                str(prepared), str(path), Samples(shape), quant_format=form,
                activation_type=activation, weight_type=quantization.QuantType.QInt8,
                per_channel=form == quantization.QuantFormat.QDQ,
            )  # fmt: skip
            yield f"{form} {activation}", path
    path = tool.path(".onnx")
    quantization.quantize_dynamic(str(prepared), str(path))
    yield "dynamic", path


def compare(tool, net):
    logging.disable(logging.WARNING)
    x = np.random.default_rng(2).standard_normal(NETS[net][1]).astype(np.float32)
    for form, path in quantized(tool, net):
        expected = ort_run(path, {"x": x})["y"]
        # A level that rounds to another side moves what comes after it.
        scales = [abs(onnx.numpy_helper.to_array(t)).max() for t in onnx.load(path).graph.initializer
                  if t.name.endswith("_scale") and t.dims == []]  # fmt: skip
        step = max(scales, default=0.02)
        for level in (0, 2):
            y = tool.run(path, {"x": x}, "--optimize", level)["y"]
            worst = np.abs(y - expected).max()
            assert worst <= 2 * step, f"{form}, --optimize {level}: off by {worst}, a step is {step}"
            share = (np.abs(y - expected) > step / 2).mean()
            assert share <= 0.05, f"{form}, --optimize {level}: {share:.0%} of the results differ"


def test_quantized_mlp(tool):
    compare(tool, "mlp")


def test_quantized_cnn(tool):
    compare(tool, "cnn")


def test_quantized_attention(tool):
    compare(tool, "attention")
