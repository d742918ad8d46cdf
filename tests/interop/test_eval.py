"""`loss` and `metrics` of one eval look at targets the same way; losses that do not fit an output are noticed."""

import json
import subprocess
import warnings

import numpy as np
import torch
from torch import nn

from support import expect_near

SHAPES = {  # of outputs, and of targets that mean the same
    (1,): [(), (1,), (1, 1)],
    (3,): [(3,), (3, 1)],
    (4, 1): [(4,), (4, 1)],
    (4, 3): [(4, 3), (4, 1, 3)],
}
ROWS = 12


class Reshaped(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.lin, self.shape = nn.Linear(5, int(np.prod(shape))), shape

    def forward(self, x):
        return self.lin(x).reshape(-1, *self.shape)


def exported(tool, module):
    path = tool.path(".onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), torch.zeros(2, 5), str(path), dynamo=False, input_names=["x"],
            output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )  # fmt: skip
    return path


def evaluated(tool, path, x, target, *options):
    data = tool.save({"x": x, "target": target})
    found = json.loads(tool("eval", path, "--data", data, "--json", *options))
    found["loss"] = found["loss"]["value"]
    return found


def test_losses_are_their_metrics(tool):
    torch.manual_seed(1)
    random = np.random.default_rng(2)
    x = random.normal(size=(ROWS, 5)).astype(np.float32)
    for shape, layouts in SHAPES.items():
        path = exported(tool, Reshaped(shape))
        t = random.normal(size=(ROWS, *shape)).astype(np.float32)
        y = tool.run(path, {"x": x})["y"].astype(np.float64)
        for layout in layouts:
            for batch in (1, 5, ROWS):
                for loss, wanted in (("mse", np.mean((y - t) ** 2)), ("mae", np.mean(abs(y - t)))):
                    found = evaluated(
                        tool, path, x, t.reshape(ROWS, *layout), "--loss", loss, "--metrics",
                        "mse,mae,rmse", "--batch-size", batch,
                    )  # fmt: skip
                    what = f"{loss} of {shape} against {layout}, batches of {batch}"
                    expect_near(what, np.array(found["loss"]), wanted, 1e-5)
                    expect_near(what, np.array(found["metrics"][loss]), wanted, 1e-5)


def test_classes_are_the_same_for_both(tool):
    torch.manual_seed(1)
    random = np.random.default_rng(3)
    x = random.normal(size=(ROWS, 5)).astype(np.float32)
    for shape in ((3,), (4, 3)):
        path = exported(tool, Reshaped(shape))
        t = random.integers(0, 3, (ROWS, *shape[:-1]))
        y = torch.from_numpy(tool.run(path, {"x": x})["y"]).double()
        wanted = nn.functional.cross_entropy(y.movedim(-1, 1), torch.from_numpy(t)).item()
        hits = np.mean(y.argmax(-1).numpy() == t)
        one_hot = np.eye(3, dtype=np.float32)[t]
        for target in (t, t[..., None], t.astype(np.float32), one_hot):
            found = evaluated(tool, path, x, target, "--loss", "cross_entropy", "--metrics", "accuracy")
            expect_near("loss", np.array(found["loss"]), wanted, 1e-5)
            expect_near("accuracy", np.array(found["metrics"]["accuracy"]), hits, 1e-9)


def test_losses_that_do_not_fit_are_noticed(tool):
    ends = {
        "Softmax": nn.Softmax(-1), "LogSoftmax": nn.LogSoftmax(-1), "Sigmoid": nn.Sigmoid(),
        "Relu": nn.ReLU(),
    }  # fmt: skip
    noticed = {
        ("Softmax", "cross_entropy"), ("LogSoftmax", "cross_entropy"), ("Softmax", "nll"),
        ("LogSoftmax", "nll_probs"), ("Sigmoid", "bce_with_logits"), ("Softmax", "bce_with_logits"),
        ("LogSoftmax", "bce"), ("Softmax", "kl"), ("Sigmoid", "kl"),
    }  # fmt: skip
    x, rows = np.ones((4, 5), np.float32), np.full((4, 3), 1 / 3, np.float32)
    for end, module in ends.items():
        path = exported(tool, nn.Sequential(nn.Linear(5, 3), module))
        for loss in ("cross_entropy", "nll", "nll_probs", "bce", "bce_with_logits", "kl", "mse"):
            classes = loss in ("cross_entropy", "nll", "nll_probs")
            data = tool.save({"x": x, "target": np.array([0, 1, 2, 0]) if classes else rows})
            done = subprocess.run(
                [str(tool.binary), "eval", str(path), "--data", str(data), "--loss", loss],
                capture_output=True, text=True,
            )  # fmt: skip
            assert (f"comes from a {end}" in done.stderr) == ((end, loss) in noticed), (end, loss, done.stderr)
