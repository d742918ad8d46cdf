"""Which tensors train by default: PyTorch's parameters, from either exporter."""

import functools
import json
import warnings

import numpy as np
import torch

from parameter_nets import NETS
from support import initializers


def export(module, inputs, path, exporter):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, inputs, str(path), dynamo=exporter == "dynamo", verbose=False,
            opset_version=18, external_data=False,
        )  # fmt: skip


# What the exporter writes nothing for.
NOT_EXPORTED = {("bilinear", "legacy"), ("rms_norm", "legacy")}

# A legacy file does not tell buffers from parameters, and gives no name to what it folded.
# docs/parameters.md says what to do about it.
EXTRA = {
    ("rotary", "legacy"): {"cos", "sin"},
    ("sinusoidal", "legacy"): {"table"},
    ("normalized_input", "legacy"): {"mean", "std"},
    ("graph_net", "legacy"): {"adjacency"},
    ("spline", "legacy"): {"centres"},
}
MISSING = {("swin", "legacy"): {"table"}}


def numbers(array):
    """The elements, whatever their order: exporters transpose, split and repeat."""
    return set(np.asarray(array, np.float64).ravel().round(5))


def check(tool, name, exporter):
    torch.manual_seed(5)
    make, inputs = NETS[name]
    module = make().eval()
    with torch.no_grad():  # no two equal tensors, which an exporter would merge
        for p in module.parameters():
            p.add_(torch.randn_like(p) / 8)
    path = tool.path(".onnx")
    export(module, inputs, path, exporter)
    found = json.loads(tool("inspect", path, "--params", "--json"))["weights"]
    stored = initializers(path)
    trained = {w["name"]: w["reason"] for w in found if w["role"] == "parameter"}
    parameters = {n: numbers(p.detach()) for n, p in module.named_parameters()}

    # Where the exporter computed with a parameter, the result is what there is to train.
    wanted, ours = set().union(*parameters.values()), set()
    folded = {n for n, reason in trained.items() if reason.startswith("folded from")}
    several = any(trained[n].endswith(" and others") for n in folded)
    for n in trained:
        ours |= numbers(stored[n])
    extra = {n for n in trained if n not in folded and not numbers(stored[n]) <= wanted}
    missing = {
        n for n, values in parameters.items()
        if not values <= ours and not several
        and not any(trained[f] == f"folded from {n}" for f in folded)
    }  # fmt: skip
    roles = [(w["name"], w["role"], w["reason"]) for w in found]
    assert extra == EXTRA.get((name, exporter), set()), f"not parameters: {extra}\n{roles}"
    assert missing == MISSING.get((name, exporter), set()), f"not trained: {missing}\n{roles}"


def cases():
    for name in NETS:
        for exporter in ("dynamo", "legacy"):
            if (name, exporter) not in NOT_EXPORTED:
                yield f"{name}_{exporter}", functools.partial(check, name=name, exporter=exporter)
