"""Converted files pass the checker of onnx and compute the same in ONNX Runtime."""

import numpy as np
import onnx
import torch
from torch import nn

from support import expect_near, initializers, ort_run


class Mixed(nn.Module):
    """Convolution, norms, a resize (whose scales stay float), attention and reductions."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.up = nn.Upsample(scale_factor=1.5, mode="nearest")
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.layer = nn.LayerNorm(16)
        self.out = nn.Linear(16, 5)

    def forward(self, x):
        y = torch.relu(self.norm(self.conv(x)))
        y = self.up(y).flatten(2).transpose(1, 2)
        y = self.layer(y + self.attention(y, y, y)[0])
        return self.out(y.mean(1)).softmax(-1)


def mixed(tool):
    torch.manual_seed(1)
    model, path = Mixed().eval(), tool.path(".onnx")
    x = torch.randn(2, 3, 4, 4)
    torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["y"], dynamo=False,
                      opset_version=17, dynamic_axes={"x": {0: "batch"}})  # fmt: skip
    return path, x.numpy(), model(x).detach().numpy()


def test_opsets(tool):
    path, x, y = mixed(tool)
    for opset in (18, 20, 21, 23):
        out = tool.path(".onnx")
        tool("convert", path, "--opset", opset, "-o", out)
        onnx.checker.check_model(str(out), full_check=True)
        found = onnx.load(str(out)).opset_import[0].version
        assert found == opset, f"opset {found}, asked for {opset}"
        expect_near(f"opset {opset}", ort_run(out, {"x": x})["y"], y, 1e-5)
        # onnx's own converter takes the same way.
        theirs = onnx.version_converter.convert_version(onnx.load(str(path)), opset)
        reference = tool.path(".onnx")
        onnx.save(theirs, str(reference))
        expect_near("onnx's", ort_run(reference, {"x": x})["y"], ort_run(out, {"x": x})["y"], 1e-5)


def test_types(tool):
    path, x, y = mixed(tool)
    for to, dtype, tolerance in (("float16", np.float16, 1e-2), ("float64", np.float64, 1e-6)):
        out = tool.path(".onnx")
        tool("convert", path, "--to", to, "-o", out)
        onnx.checker.check_model(str(out), full_check=True)
        expect_near(to, tool.run(out, {"x": x.astype(dtype)})["y"], y, tolerance)
        if to == "float16":
            expect_near("ort " + to, ort_run(out, {"x": x.astype(dtype)})["y"], y, tolerance)
        kept = tool.path(".onnx")
        tool("convert", path, "--to", to, "--keep-io", "-o", kept)
        found = tool.run(kept, {"x": x})["y"]
        assert found.dtype == np.float32
        expect_near(to, found, y, tolerance)
    assert all(a.dtype != np.float64 for a in initializers(path).values())


def test_fold_keeps_parameters(tool):
    path, x, y = mixed(tool)
    out = tool.path(".onnx")
    tool("convert", path, "--fold", "-o", out)
    onnx.checker.check_model(str(out), full_check=True)
    expect_near("folded", ort_run(out, {"x": x})["y"], y, 1e-5)
    before, after = initializers(path), initializers(out)
    for name in ("conv.weight", "out.weight", "layer.weight"):
        match = [n for n, a in after.items() if n == name and np.array_equal(a, before[name])]
        assert name not in before or match, f"{name} is gone"


def test_storage_and_weights(tool):
    path, x, y = mixed(tool)
    outside, inside = tool.path(".onnx"), tool.path(".onnx")
    tool("convert", path, "--store", "external", "-o", outside)
    assert outside.with_name(outside.name + ".data").stat().st_size > 0
    onnx.checker.check_model(str(outside), full_check=True)
    expect_near("external", ort_run(outside, {"x": x})["y"], y, 1e-5)
    tool("convert", outside, "--store", "inline", "-o", inside)
    expect_near("inline", ort_run(inside, {"x": x})["y"], y, 1e-5)
    for name, value in initializers(path).items():
        assert np.array_equal(value, initializers(inside)[name]), name

    weights = {n: a + 1 for n, a in initializers(path).items() if n == "out.bias"}
    changed = tool.path(".onnx")
    tool("convert", path, "--set-weights", tool.save(weights), "-o", changed)
    assert np.array_equal(initializers(changed)["out.bias"], weights["out.bias"])


def test_parts(tool):
    path, x, y = mixed(tool)
    inner = next(n.output[0] for n in onnx.load(str(path)).graph.node if n.op_type == "Relu")
    head, tail = tool.path(".onnx"), tool.path(".onnx")
    tool("convert", path, "--extract-outputs", inner, "-o", head)
    tool("convert", path, "--extract-inputs", inner, "--rename", "y=scores", "-o", tail)
    for part in (head, tail):
        onnx.checker.check_model(str(part), full_check=True)
    between = ort_run(head, {"x": x})
    expect_near("the two parts", ort_run(tail, between)["scores"], y, 1e-5)
    fixed = tool.path(".onnx")
    tool("convert", path, "--set-dim", "batch=2", "-o", fixed)
    onnx.checker.check_model(str(fixed), full_check=True)
    dims = onnx.load(str(fixed)).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in dims] == [2, 3, 4, 4]
    expect_near("fixed", ort_run(fixed, {"x": x})["y"], y, 1e-5)
