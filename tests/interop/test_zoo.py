"""Fresh files of the architectures that people share, small: what they compute and how they train.

Every net of zoo_*.py goes through PyTorch's exporters, and its file then through ONNX Runtime's
offline optimizer and quantizers; outputs are compared in other batch sizes too.
"""

import functools
import logging
import pathlib
import tempfile

import numpy as np
import onnx
import torch

import zoo_generative
import zoo_other
import zoo_sequence
import zoo_vision
from net_checks import as_list
from support import expect_near, initializers, ort_optimize, ort_run
from torch_nets import Net, export, first_output, make, stack, tensors, train_in_double, train_options
from zoo_net import fuse

ARCHS = {**zoo_vision.NETS, **zoo_generative.NETS, **zoo_sequence.NETS, **zoo_other.NETS}
FILES = tempfile.TemporaryDirectory()
SEED, EXPORTED, STEPS = 3, 2, 5
OPTIMIZERS = ("sgd", "adam", "momentum")


def as_net(arch, exporter, batch=EXPORTED):
    """The architecture as the other suites have theirs."""
    frozen = arch.frozen.get(exporter)
    options = arch.options + (("--freeze", frozen) if frozen else ())
    names = arch.inputs(np.random.default_rng(0), batch)
    return Net(
        arch.module, lambda rng: arch.inputs(rng, batch), None, arch.loss, rate=arch.rate, options=options,
        dynamic={n: {0: "n"} for n in names if n not in arch.fixed},
        trained="train" if arch.norms else "eval",
    )  # fmt: skip


@functools.cache
def exported(name, exporter, opset):
    path = pathlib.Path(tempfile.mkdtemp(dir=FILES.name)) / "model.onnx"
    net = as_net(ARCHS[name], exporter)
    export(net, make(net, SEED), path, exporter, opset)
    return path


def in_one_piece(tool, path):
    """A copy with no data in files of their own, which ONNX Runtime's tools lose."""
    whole = tool.path(".onnx")
    onnx.save(onnx.load(str(path)), str(whole))
    return whole


def module_of(name, exporter):
    """The net as the file has it: the default exporter folds batch norms into convolutions."""
    module = make(as_net(ARCHS[name], exporter), SEED).eval()
    return fuse(module) if exporter == "dynamo" else module


def batch_sizes(arch):
    return (EXPORTED,) if arch.fixed else (EXPORTED, 5, 1)


def check_outputs(tool, path, arch, expected, tolerance):
    for batch in batch_sizes(arch):
        inputs = arch.inputs(np.random.default_rng(batch), batch)
        wanted = expected(inputs)
        for level in (0, 2) if batch == EXPORTED else (2,):
            ours = list(tool.run(path, inputs, "--optimize", level).values())
            assert len(ours) == len(wanted), f"{len(ours)} outputs, expected {len(wanted)}"
            for k, (a, b) in enumerate(zip(ours, wanted)):
                expect_near(f"output {k}, batch {batch}, --optimize {level}", a, b, tolerance)


def target_of(arch, output, rng):
    if arch.loss == "mse":
        return rng.standard_normal(tuple(output.shape)).astype(np.float32)
    shape = tuple(output.shape)
    return rng.integers(0, shape[1], (shape[0], *shape[2:])).astype(np.int64)


def check_training(tool, path, name, exporter, optimizer, tolerance=1e-6, optimized=False):
    """Five steps in double, each with another batch, cost what they cost PyTorch."""
    arch = ARCHS[name]
    # ONNX Runtime's optimizer folds batch norms, too, and drops what the file says of its tensors.
    module = module_of(name, "dynamo" if optimized else exporter)
    net, rng = as_net(arch, "legacy" if optimized else exporter, 4), np.random.default_rng(SEED)
    batches = [arch.inputs(rng, 4) for _ in range(STEPS)]
    with torch.no_grad():
        output = first_output(module(*tensors(batches[0])))
    targets = [target_of(arch, output, rng) for _ in range(STEPS)]
    wanted = train_in_double(net, module, optimizer, batches, targets)
    assert np.all(np.isfinite(wanted)), "PyTorch's training diverges: choose a smaller rate"
    options = train_options(net, optimizer)
    options[1] = f"{tool_output(path)}={arch.loss}"
    if optimized and "--freeze" in options:
        # What is folded has no name any more.
        at, stored = options.index("--freeze") + 1, initializers(path)
        options[at] = ",".join(n for n in options[at].split(",") if "*" in n or n in stored)
        if not options[at]:
            del options[at - 1 : at + 1]
    _, losses = tool.train(path, stack(batches), np.stack(targets), *options, "--precision", "float64")
    expect_near("losses", losses, wanted, tolerance)


def tool_output(path):
    return onnx.load(str(path), load_external_data=False).graph.output[0].name


def check_exported(tool, name, exporter, opset, optimizer):
    arch, path = ARCHS[name], exported(name, exporter, opset)
    module = module_of(name, exporter)

    def expected(inputs):
        with torch.no_grad():
            return [t.numpy() for t in as_list(module(*tensors(inputs)))]

    check_outputs(tool, path, arch, expected, 2e-5)
    if exporter not in arch.untrained:
        check_training(tool, path, name, exporter, optimizer, 1e-5 if arch.norms and exporter == "dynamo" else 1e-6)


class Batches:
    """What calibration reads."""

    def __init__(self, arch):
        rng = np.random.default_rng(7)
        self.batches = iter([arch.inputs(rng, EXPORTED) for _ in range(3)])

    def get_next(self):
        return next(self.batches, None)


def quantized(path, out, arch, how):
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process

    logging.disable(logging.WARNING)
    ready = out.with_name("ready.onnx")
    quant_pre_process(str(path), str(ready), skip_symbolic_shape=True)
    if how == "dynamic":
        q.quantize_dynamic(str(ready), str(out), weight_type=q.QuantType.QInt8)
    else:
        form = q.QuantFormat.QOperator if how == "qoperator" else q.QuantFormat.QDQ
        kind = q.QuantType.QUInt8 if how == "qoperator" else q.QuantType.QInt8
        q.quantize_static(
            str(ready), str(out), Batches(arch), quant_format=form, per_channel=how == "qdq_channels",
            activation_type=kind, weight_type=q.QuantType.QInt8,
        )  # fmt: skip
    logging.disable(logging.NOTSET)


# What trains otherwise once ONNX Runtime has optimized it.
OTHERWISE = {
    "factor_machine": "the square of a weight is folded, and is a weight of its own",
    "stylegan": "the view of its bias is folded, and a nameless term of a sum",
    "message_passing": "without its metadata, the zeros that messages are added to have a module's name",
}


def check_derived(tool, name, exporter, opset, how):
    """A file made of an exported one by ONNX Runtime, which says what it computes."""
    arch, out = ARCHS[name], tool.path(".onnx")
    path = in_one_piece(tool, exported(name, exporter, opset))
    if how in ("basic", "extended"):
        ort_optimize(path, out, how)
    else:
        quantized(path, out, arch, how)

    def expected(inputs):
        return list(ort_run(out, inputs).values())

    # A sum that lies between two steps of a quantized tensor may be rounded either way.
    check_outputs(tool, out, arch, expected, 2e-5 if how in ("basic", "extended") else 0.02)
    if how in ("basic", "extended") and exporter not in arch.untrained and name not in OTHERWISE:
        check_training(tool, out, name, exporter, "sgd", 1e-5, optimized=True)


DERIVED = ("extended", "qdq", "basic", "dynamic", "extended", "qoperator", "dynamic", "qdq_channels")
OPSETS = {"dynamo": (20, 18, 23), "legacy": (17, 13, 15, 14)}


def files():
    """Every net with the exporters and opsets that its files are from."""
    for k, (name, arch) in enumerate(ARCHS.items()):
        given = arch.opsets or [OPSETS[e][k % len(OPSETS[e])] for e in arch.exporters]
        for exporter, opset in zip(arch.exporters, given):
            if exporter not in arch.refused:
                yield name, arch, exporter, opset


def cases():
    for k, (name, arch, exporter, opset) in enumerate(files()):
        about = dict(name=name, exporter=exporter, opset=opset)
        label = f"{name}_{exporter}_{opset}"
        yield label, functools.partial(check_exported, **about, optimizer=OPTIMIZERS[k % len(OPTIMIZERS)])
        how = DERIVED[k % len(DERIVED)]
        if how not in arch.without:
            yield f"{label}_{how}", functools.partial(check_derived, **about, how=how)
