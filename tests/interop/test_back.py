"""Weights trained here, back in PyTorch: architectures whose parameters lie in unusual places.

The nets of the other tests are carried back where they are trained (net_checks.py, test_keras.py).
"""

import functools
import sys

import numpy as np
import onnx
import torch

from examples import EXAMPLES, note
from net_checks import as_list
from parameter_nets import NETS
from support import expect_near
from test_parameters import NOT_EXPORTED, export

sys.path.append(str(EXAMPLES))
from to_pytorch import trained_state

REPEATED = "repeated over the batch by the exporter, and each copy trains by itself"
COMPUTED = "the exporter stores what it computed from it, which trains in its place"
TWICE = "stored as it is and computed with, and both train by themselves"
# The weights that do not survive an export, and why.
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


def check(tool, name, exporter):
    torch.manual_seed(5)
    make, inputs = NETS[name]
    module = make().eval()
    with torch.no_grad():  # no two equal tensors, which an exporter would merge
        for p in module.parameters():
            p.add_(torch.randn_like(p) / 8)
        wanted = as_list(module(*inputs))
    path = tool.path(".onnx")
    export(module, inputs, path, exporter)

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
    if (name, exporter) in LOST:
        weights, why = LOST[name, exporter]
        assert missing, f"{weights} came back: nothing is lost any more"
        note(f"not carried back: {weights} ({why})")
        return
    assert not missing, f"not carried back: {missing}"
    with torch.no_grad():
        theirs = as_list(module(*inputs))[k]
    expect_near("output of the module", theirs.numpy(), tool.run(trained, feeds)[output], 1e-4)


def cases():
    for name in NETS:
        for exporter in ("dynamo", "legacy"):
            if (name, exporter) not in NOT_EXPORTED:
                yield f"{name}_{exporter}", functools.partial(check, name=name, exporter=exporter)
