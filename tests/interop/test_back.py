"""Weights trained here, back in PyTorch: architectures whose parameters lie in unusual places.

The nets of the other tests are carried back where they are trained (net_checks.py, test_keras.py).
"""

import functools
import sys
import warnings

import numpy as np
import onnx
import torch

from examples import EXAMPLES, exporter, note, run_script
from net_checks import as_list
from parameter_nets import NETS
from support import expect_near
from test_parameters import NOT_EXPORTED, export

sys.path.append(str(EXAMPLES))
from to_pytorch import trained_state

REPEATED = "repeated over the batch by the exporter, and each copy trains by itself"
COMPUTED = "the exporter stores what it computed from it, which trains in its place"
TWICE = "stored as it is and computed with, and both train by themselves"
# The weights that do not survive an export as it is by default, and why. Unfolded they do.
LOST = {
    ("vit", "dynamo"): ("cls", REPEATED),
    ("initial_state", "dynamo"): ("h0", REPEATED),
    ("swin", "dynamo"): ("table", COMPUTED),
    ("swin", "legacy"): ("table", "gathered under a name that says nothing: it does not train"),
    ("state_space", "dynamo"): ("log_a, step", COMPUTED),
    ("vector_quantizer", "dynamo"): ("sharp", COMPUTED),
    ("cosine", "dynamo"): ("classes", COMPUTED),
    ("wrapped_cosine", "dynamo"): ("inner.classes", COMPUTED),
    ("gates", "dynamo"): ("gate", COMPUTED),
    ("wrapped_gate", "dynamo"): ("inner.gate", COMPUTED),
    ("hyper", "dynamo"): ("latent, make.weight, make.bias", COMPUTED),
    ("weight_norm", "dynamo"): ("0.parametrizations.weight", COMPUTED),
    ("pooling", "dynamo"): ("p", TWICE),
    ("factor_machine", "dynamo"): ("v", TWICE),
    ("tied", "dynamo"): ("embed.weight", TWICE),
    ("tied", "legacy"): ("embed.weight", TWICE),
    ("rnn", "dynamo"): ("rnn.bias_hh_l0", "the first of the unrolled steps has a bias of its own"),
    ("rnn_relu", "dynamo"): ("rnn.bias_hh_l0", "the first of the unrolled steps has a bias of its own"),
}


# `index` is the name of two values in the file, which no runtime takes.
INVALID_UNFOLDED = {("swin", "dynamo")}


def export_unfolded(module, inputs, path, exporter):
    """As the exporters write it when told to compute nothing ahead: every weight survives."""
    option = {"optimize": False} if exporter == "dynamo" else {"do_constant_folding": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, inputs, str(path), dynamo=exporter == "dynamo", verbose=False, opset_version=18,
            external_data=False, **option,
        )  # fmt: skip


def check(tool, name, exporter, write=export, lost=LOST):
    torch.manual_seed(5)
    make, inputs = NETS[name]
    module = make().eval()
    with torch.no_grad():  # no two equal tensors, which an exporter would merge
        for p in module.parameters():
            p.add_(torch.randn_like(p) / 8)
        wanted = as_list(module(*inputs))
    path = tool.path(".onnx")
    write(module, inputs, path, exporter)

    graph = onnx.load(str(path)).graph
    stored = {t.name for t in graph.initializer}
    names = [i.name for i in graph.input if i.name not in stored]
    feeds = {n: v.numpy() for n, v in zip(names, as_list(list(inputs)))}
    k = next(i for i, t in enumerate(wanted) if t.is_floating_point())
    output = graph.output[k].name
    target = np.random.default_rng(1).normal(size=(1, *wanted[k].shape)).astype(np.float32)
    trained, _ = tool.train(
        path, {n: v[None] for n, v in feeds.items()}, target, "--loss", f"{output}=mse", "--optimizer",
        "adam", "--lr", 0.02, "--dropout", "off",
    )  # fmt: skip

    missing = []
    module.load_state_dict(trained_state(module.state_dict(), path, trained, missing))
    if (name, exporter) in lost:
        weights, why = lost[name, exporter]
        assert missing, f"{weights} came back: nothing is lost any more"
        note(f"not carried back: {weights} ({why})")
        return
    assert not missing, f"not carried back: {missing}"
    with torch.no_grad():
        theirs = as_list(module(*inputs))[k]
    expect_near("output of the module", theirs.numpy(), tool.run(trained, feeds)[output], 1e-4)


def test_to_pytorch(tool):
    """The script as its page calls it."""
    xor = exporter("xor_and_digits")
    module, model = xor.export("log_softmax", tool.directory), tool.directory / "log_softmax.onnx"
    torch.save(module.state_dict(), tool.directory / "before.pt")
    x, y = np.random.default_rng(0).normal(size=(4, 8, 16)).astype(np.float32), np.zeros((4, 8), np.int64)
    trained, _ = tool.train(model, {"x": x}, y, "--loss", "nll", "--lr", 0.5)
    run_script("to_pytorch.py", model, trained, tool.directory / "before.pt", tool.directory / "after.pt")
    module.load_state_dict(torch.load(tool.directory / "after.pt"))
    with torch.no_grad():
        theirs = module(torch.tensor(x[0])).numpy()
    expect_near("output of the module", theirs, tool.run(trained, {"x": x[0]})["y"], 1e-5)


def cases():
    for name in NETS:
        for exporter in ("dynamo", "legacy"):
            if (name, exporter) not in NOT_EXPORTED:
                yield f"{name}_{exporter}", functools.partial(check, name=name, exporter=exporter)
            if (name, exporter) in LOST.keys() - INVALID_UNFOLDED:
                yield (
                    f"{name}_{exporter}_unfolded",
                    functools.partial(check, name=name, exporter=exporter, write=export_unfolded, lost={}),
                )
