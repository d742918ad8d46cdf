"""Factors, means and deviations that are baked into a model hold in ONNX Runtime."""

import numpy as np
import onnx
from torch import nn

from support import expect_near, ort_run
from torch_nets import Net, export, floats, make

SHAPES = {"vector": (5,), "picture": (3, 6, 6), "sample": (4,)}


def layers(shape):
    if len(shape) == 3:
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2))
    return nn.Sequential(nn.Linear(shape[0], 8), nn.Tanh(), nn.Linear(8, 2))


def baked(tool, kind, exporter, opset):
    shape, batched = SHAPES[kind], kind != "sample"
    net = Net(
        lambda: layers(shape),
        lambda rng: {"x": rng.standard_normal(((3,) if batched else ()) + shape).astype("f")},
        floats(2), "mse", dynamic={"x": {0: "batch"}} if batched else {},
    )  # fmt: skip
    model, rng = tool.path(".onnx"), np.random.default_rng(5)
    export(net, make(net, seed=1), model, exporter, opset)
    x = (rng.standard_normal((40, *shape)) * 20 + 300).astype("f")
    data = tool.save({"x": x, "target": rng.standard_normal((40, 2)).astype("f")})
    options = ["--data", data, "--scale", "x=1/255", "--standardize", "x", "--epochs", 2, "-q"]
    plain, done = tool.path(".onnx"), tool.path(".onnx")
    tool("train", model, *options, "-o", plain)
    tool("train", model, *options, "--bake", "-o", done)
    for path in (plain, done):
        onnx.checker.check_model(str(path), full_check=True)
    ours, theirs = tool.path(".npy"), tool.path(".npy")
    tool("run", plain, "--data", data, "--as-trained", "-q", "-o", ours)
    tool("run", done, "--data", data, "-q", "-o", theirs)
    expected = np.load(ours)
    expect_near("the baked model", np.load(theirs), expected, 2e-5)
    answers = [*ort_run(done, {"x": x}).values()][0] if batched else np.stack(
        [[*ort_run(done, {"x": row}).values()][0] for row in x]
    )  # fmt: skip
    expect_near("ONNX Runtime", answers, expected, 2e-5)


def cases():
    for kind in SHAPES:
        for exporter, opset in [("dynamo", 20), ("legacy", 9)]:
            yield f"{kind}_{exporter}", lambda tool, k=kind, e=exporter, o=opset: baked(tool, k, e, o)
