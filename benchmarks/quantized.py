#!/usr/bin/env python3
"""Times quantized operators and nets beside the floats they stand for and beside ONNX Runtime, one
thread each: quantized.py PATH/onnxrun [--update README.md] [--rounds N] [PATTERN...]

Nets are quantized by onnxruntime.quantization in its three ways. Results are compared with ONNX
Runtime's before anything is timed; all take turns, and the best times count.
"""

import argparse
import logging
import pathlib
import sys
import tempfile
import warnings

from pages import update_page

try:
    import numpy as np
    import onnx
    import onnxruntime  # noqa: F401
    import tables
    import torch
    from inference_peers import onnxruntime_call
    from onnx import helper, numpy_helper
    from onnxruntime import quantization
    from own_programs import Onnxrun
except ImportError as missing:
    sys.exit(f"the table of quantized nets is left out: {missing}")

nn = torch.nn
rng = np.random.default_rng(0)
f = lambda *shape: rng.standard_normal(shape).astype(np.float32)
u8 = lambda *shape: rng.integers(0, 256, shape).astype(np.uint8)
s8 = lambda *shape: rng.integers(-128, 128, shape).astype(np.int8)
scalar = lambda v, t=np.float32: np.array(v, t)


def model(op, inputs, outputs=1, **attributes):
    """A node whose first input is the model's, the others constants."""
    names = [f"x{i}" for i in range(len(inputs))]
    x = helper.make_tensor_value_info(
        "x0", helper.np_dtype_to_tensor_dtype(inputs[0].dtype), inputs[0].shape
    )
    results = ["y"] + [f"y{i}" for i in range(1, outputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, results, **attributes)],
        op, [x], [onnx.ValueInfoProto(name=n) for n in results],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in list(zip(names, inputs))[1:]],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made, inputs[0]


def product(m, k, n):
    a, b = u8(m, k), s8(k, n)
    return model("MatMulInteger", [a, b, scalar(120, np.uint8)]), model("MatMul", [f(m, k), f(k, n)])


def convolution(channels, outputs, length, kernel, stride=1, group=1):
    x, w = u8(1, channels, length, length), s8(outputs, channels // group, kernel, kernel)
    window = {"pads": [kernel // 2] * 4, "strides": [stride] * 2, "group": group}
    zero = np.zeros(outputs, np.int8)
    bias = rng.integers(-999, 999, outputs).astype(np.int32)
    quantized = model("QLinearConv", [
        x, scalar(0.02), scalar(120, np.uint8), w, np.full(outputs, 0.01, np.float32), zero,
        scalar(0.5), scalar(110, np.uint8), bias], **window)  # fmt: skip
    return quantized, model("Conv", [f(*x.shape), f(*w.shape), f(outputs)], **window)


OPERATORS = {
    "MatMulInteger 1024": lambda: product(1024, 1024, 1024),
    "MatMulInteger 256": lambda: product(256, 256, 256),
    "MatMulInteger 1 by 1024": lambda: product(1, 1024, 1024),
    "QLinearConv 3x3, 64 to 64, 56x56": lambda: convolution(64, 64, 56, 3),
    "QLinearConv 1x1, 256 to 256, 14x14": lambda: convolution(256, 256, 14, 1),
    "QLinearConv 7x7 stride 2, 3 to 64, 224x224": lambda: convolution(3, 64, 224, 7, 2),
    "QLinearConv depthwise 3x3, 128, 56x56": lambda: convolution(128, 128, 56, 3, group=128),
    "QuantizeLinear of 1,048,576": lambda: (
        model("QuantizeLinear", [f(1 << 20), scalar(0.02), scalar(120, np.uint8)]), None),
    "DequantizeLinear of 1,048,576": lambda: (
        model("DequantizeLinear", [u8(1 << 20), scalar(0.02), scalar(120, np.uint8)]), None),
    "DynamicQuantizeLinear of 1,048,576": lambda: (
        model("DynamicQuantizeLinear", [f(1 << 20)], 3), None),
}  # fmt: skip


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True, dropout=0.0)
        self.head = nn.Linear(128, 16)

    def forward(self, x):
        return self.head(self.layer(x))


def mlp():
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(),
                         nn.Linear(512, 10))  # fmt: skip


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(64, 10),
    )  # fmt: skip


NETS = {
    "MLP 784-512-512-10, batch 32": (mlp, (32, 784)),
    "LeNet-5, batch 16": (lenet, (16, 1, 28, 28)),
    "CNN 32-64-64, 32x32, batch 4": (cnn, (4, 3, 32, 32)),
    "transformer layer d 128, T 32, batch 2": (Transformer, (2, 32, 128)),
}


class Samples(quantization.CalibrationDataReader):
    def __init__(self, shape):
        self.rest = iter([{"x0": f(*shape)} for _ in range(4)])

    def get_next(self):
        return next(self.rest, None)


def quantized_nets(make, shape, folder):
    """Yields the float net and its quantized twins."""
    torch.manual_seed(0)
    plain, prepared = folder / "plain.onnx", folder / "prepared.onnx"
    torch.onnx.export(make().eval(), (torch.randn(*shape),), str(plain), dynamo=False,
                      opset_version=17, input_names=["x0"], output_names=["y"])  # fmt: skip
    quantization.quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
    yield "", onnx.load(plain)
    out = folder / "quantized.onnx"
    s8_weights = {"weight_type": quantization.QuantType.QInt8}
    for label, form in [("QDQ", quantization.QuantFormat.QDQ),
                        ("QOperator", quantization.QuantFormat.QOperator)]:  # fmt: skip
        quantization.quantize_static(str(prepared), str(out), Samples(shape), quant_format=form,
                                     per_channel=label == "QDQ", **s8_weights)  # fmt: skip
        yield label, onnx.load(out)
    quantization.quantize_dynamic(str(prepared), str(out), **s8_weights)
    yield "dynamic", onnx.load(out)


def timed(onnxrun, name, made, x, folder, rounds):
    """Best seconds here and in ONNX Runtime, after a comparison of the results."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(made, folder / "model.onnx")
    np.save(folder / "x0.npy", x)
    inputs = onnxrun.inputs(folder, 1)
    onnxrun.run("run", folder / "model.onnx", *inputs, "-o", folder / "y.npz")
    expected, time_there = onnxruntime_call(folder / "model.onnx", {"x0": x})
    with np.load(folder / "y.npz") as arrays:
        ours = arrays["y"].astype(np.float64)
    if not np.allclose(ours, expected.astype(np.float64), rtol=0.1, atol=0.1):
        sys.exit(f"{name}: results differ by {np.abs(ours - expected).max()}; nothing is timed")
    here, there = [], []
    for _ in range(rounds):
        here.append(onnxrun.time(folder, 1))
        there.append(time_there())
    return min(here), min(there)


def row(name, times, twin):
    here, there = times
    us = tables.microseconds
    beside = ("", "", "") if twin is None else (
        us(twin), f"{here / twin:.2f}", "reached" if here < twin else "not reached")  # fmt: skip
    return (f"| {name} | {us(here)} | {beside[0]} | {us(there)} | {beside[1]} "
            f"| {here / there:.2f} | {beside[2]} |")  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--update", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_intermixed_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    onnxrun = Onnxrun(options.program.resolve())
    wanted = lambda name: not options.patterns or any(p in name for p in options.patterns)
    lines = ["| quantized, µs | onnxrun | its floats | ONNX Runtime | ours / floats "
             "| ours / ONNX Runtime | goal: below floats |", "|---" * 7 + "|"]  # fmt: skip
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        time = lambda name, made, x: timed(onnxrun, name, made, x, work / "run", options.rounds)
        for name in filter(wanted, OPERATORS):
            (made, x), floats = OPERATORS[name]()
            twin = time(name, *floats)[0] if floats else None
            lines.append(row(name, time(name, made, x), twin))
        for name in filter(wanted, NETS):
            make, shape = NETS[name]
            x, twin = f(*shape), None
            for label, made in quantized_nets(make, shape, work):
                times = time(name, made, x)
                if label:
                    lines.append(row(f"{name}, {label}", times, twin))
                twin = twin or times[0]
    text = "\n".join(lines)
    print(text)
    if options.update:
        update_page(options.update, "quantized", text)


if __name__ == "__main__":
    main()
