"""What every net that comes from PyTorch must do: run, train and go back out as PyTorch has it."""

import functools
import pathlib
import sys
import tempfile

import numpy as np
import torch

from examples import EXAMPLES
from support import expect_near, initializers, ort_run
from torch_nets import (
    as_double, export, first_output, make, make_batches, stack, tensors, train_in_double,
    train_options,
)  # fmt: skip

sys.path.append(str(EXAMPLES))
from to_pytorch import trained_state


def as_list(result):
    if not isinstance(result, (tuple, list)):
        return [result]
    return [t for r in result for t in as_list(r)]


FILES = tempfile.TemporaryDirectory()
SEED = 1


@functools.cache
def export_once(net, exporter, opset):
    """Exporting takes longest, so the tests of one net share its file."""
    path = pathlib.Path(tempfile.mkdtemp(dir=FILES.name)) / "model.onnx"
    export(net, make(net, SEED), path, exporter, opset)
    return path


def exported(net, exporter, opset):
    """The file and its module, whose running statistics an export in training mode has moved."""
    path, module = export_once(net, exporter, opset), make(net, SEED)
    with torch.no_grad():
        for name, value in common_tensors(path, module.named_buffers()):
            value.copy_(torch.from_numpy(initializers(path)[name]))
    return path, module


def common_tensors(path, named):
    """Those of the named PyTorch tensors that the file stores under their names."""
    stored = initializers(path)
    return [(n, t) for n, t in named if n in stored and stored[n].shape == tuple(t.shape)]


def check_run(tool, net, exporter, opset):
    """The command's outputs are PyTorch's, with and without optimisation."""
    model, module = exported(net, exporter, opset)
    inputs = net.inputs(np.random.default_rng(SEED))
    with torch.no_grad():
        wanted = as_list(module.eval()(*tensors(inputs)))
    for level in (0, 2):
        ours = tool.run(model, inputs, "--optimize", level)
        assert len(ours) == len(wanted), f"{len(ours)} outputs, expected {len(wanted)}"
        for (name, value), tensor in zip(ours.items(), wanted):
            expect_near(f"output {name}, --optimize {level}", value, tensor.detach().numpy(), 1e-5)


def check_gradients(tool, net, exporter, opset):
    """Vector-Jacobian products in double are autograd's, for inputs and parameters by name, but for
    the rounding of constants that the file has in float32."""
    model, module = exported(net, exporter, opset)
    rng = np.random.default_rng(SEED)
    inputs = net.inputs(rng)
    given = as_double(inputs)
    for value in given:
        value.requires_grad_(value.is_floating_point())
    results = as_list(module.double().eval()(*given))
    names = list(tool.run(model, inputs))
    cotangents = {n: rng.standard_normal(tuple(r.shape)) for n, r in zip(names, results)}
    torch.autograd.backward(results, tensors(cotangents))

    wanted = {n: t.grad for n, t in zip(inputs, given)}
    for name, value in common_tensors(model, module.named_parameters()):
        wanted[name] = value.grad
    wanted = {n: g.numpy() for n, g in wanted.items() if g is not None}
    options = []
    for name, value in cotangents.items():
        path = tool.path(".npy")
        np.save(path, value)
        options += ["--cotangent", f"{name}={path}"]
    ours = tool.gradients(model, inputs, "--double", *options, "--wrt", ",".join(wanted))
    for name, value in wanted.items():
        expect_near(f"gradient of {name}", ours[name], value, 1e-8)


def check_back(tool, net, exporter, opset, model, trained):
    """The trained weights carried back into PyTorch, where the module then gives our outputs."""
    _, module = exported(net, exporter, opset)
    module.load_state_dict(trained_state(module.state_dict(), model, trained))
    inputs = net.inputs(np.random.default_rng(SEED))
    with torch.no_grad():
        theirs = first_output(module.eval()(*tensors(inputs)))
    (ours, *_) = tool.run(trained, inputs).values()
    expect_near("output of the module with the trained weights", theirs.detach().numpy(), ours, 1e-4)


def check_train(tool, net, exporter, opset, optimizer, steps=8):
    """Losses in double and weights after them are PyTorch's, and the written file computes so."""
    model, module = exported(net, exporter, opset)
    rng = np.random.default_rng(SEED)
    batches, targets = make_batches(net, rng, steps)
    wanted = train_in_double(net, module, optimizer, batches, targets)
    assert np.all(np.isfinite(wanted)), "PyTorch's training diverges: choose a smaller rate"

    trained, losses = tool.train(
        model, stack(batches), np.stack(targets) if targets else None,
        *train_options(net, optimizer), "--precision", "float64",
    )  # fmt: skip
    expect_near("losses", losses, wanted, 1e-7)
    stored = initializers(trained)
    for name, value in common_tensors(trained, module.state_dict().items()):
        expect_near(f"{name} after training", stored[name], value.numpy(), 1e-6)

    if net.exported == "train":  # the file is still in training mode, where PyTorch's net is not
        return
    check_back(tool, net, exporter, opset, model, trained)
    inputs = net.inputs(rng)
    with torch.no_grad():
        after = first_output(module.eval().float()(*tensors(inputs)))
    (name, ours), *_ = tool.run(trained, inputs).items()
    expect_near("output of the trained file", ours, after.detach().numpy(), 1e-5)
    expect_near("ONNX Runtime's output", ort_run(trained, inputs)[name], ours, 1e-5)


def cases(nets, exporters, train_with, gradients=False):
    """Tests of nets by name. `train_with` names optimizers, taken in turn; none if it is empty."""
    count = 0
    for name, net in nets.items():
        for exporter, opset in exporters:
            label = f"{name}_{exporter}_{opset}"
            about = dict(net=net, exporter=exporter, opset=opset)
            if net.exported == "eval":
                yield f"run_{label}", lambda tool, a=about: check_run(tool, **a)
            if gradients:
                yield f"grad_{label}", lambda tool, a=about: check_gradients(tool, **a)
            if train_with:
                optimizer = train_with[count % len(train_with)]
                count += 1
                yield (
                    f"train_{label}_{optimizer}",
                    lambda tool, a=about, o=optimizer: check_train(tool, **a, optimizer=o),
                )
