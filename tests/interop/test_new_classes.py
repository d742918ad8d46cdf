"""--new-classes: PyTorch with the same fresh head follows, and all before it stays as it was."""

import functools
import warnings

import numpy as np
import onnx
import torch
from torch import nn

from support import expect_near, initializers, ort_run

CLASSES, ROWS, STEPS = 5, 6, 5


class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.hidden, self.head = nn.Linear(36, 8), nn.Linear(8, 10)

    def forward(self, x):
        return torch.log_softmax(self.head(torch.relu(self.hidden(self.body(x)))), -1)


class Steps(nn.Module):
    """The head of a sequence, which the exporters write as a product and a sum."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(4, 8), nn.Linear(8, 7)

    def forward(self, x):
        return self.head(torch.tanh(self.hidden(x)))


class Tied(nn.Module):
    """The head is the embedding, which stays for the embedding."""

    def __init__(self):
        super().__init__()
        self.emb, self.hidden, self.head = nn.Embedding(7, 4), nn.Linear(4, 4), nn.Linear(4, 7)
        self.head.weight = self.emb.weight

    def forward(self, x):
        return self.head(torch.tanh(self.hidden(self.emb(x).sum(1))))


def numbers(*shape):
    return lambda random: random.normal(size=(ROWS, *shape)).astype(np.float32)


NETS = {
    "images": (Images, numbers(1, 8, 8), (), "nll"),
    "steps": (Steps, numbers(3, 4), (3,), "cross_entropy"),
    "tied": (Tied, lambda random: random.integers(0, 7, (ROWS, 5)), (), "cross_entropy"),
}
LOSSES = {"nll": nn.functional.nll_loss, "cross_entropy": nn.functional.cross_entropy}


def exported(tool, name, **options):
    make, batch, _, _ = NETS[name]
    torch.manual_seed(2)
    module = make().eval()
    path = tool.path(".onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, torch.from_numpy(batch(np.random.default_rng(1))), str(path), verbose=False,
            input_names=["x"], output_names=["y"], **options,
        )  # fmt: skip
    return module, path


def head_of(path, before):
    """Weight as nn.Linear has it, and bias, of the tensors that are new in the file."""
    old, new = initializers(before), initializers(path)
    fresh = {n: t for n, t in new.items() if n not in old or old[n].shape != t.shape}
    (weight,) = [t for t in fresh.values() if t.ndim == 2]
    (bias,) = [t for t in fresh.values() if t.ndim == 1]
    return list(fresh), weight if weight.shape[0] == CLASSES else weight.T, bias


def check(tool, name, options):
    module, path = exported(tool, name, **options)
    _, batch, target_axes, loss = NETS[name]
    random = np.random.default_rng(6)
    x = np.stack([batch(random) for _ in range(STEPS)])
    target = random.integers(0, CLASSES, (STEPS, ROWS, *target_axes))
    how = ["--loss", loss, "--class-axis", -1, "--optimizer", "sgd", "--precision", "float64", "--seed", 9]
    new = ["--new-classes", CLASSES]

    start, _ = tool.train(path, {"x": x[:1]}, target[:1], *how, *new, "--lr", 0)
    names, weight, bias = head_of(start, path)
    assert np.abs(weight).max() <= weight.shape[1] ** -0.5 and weight.std() > 0.1
    module.head = nn.Linear(weight.shape[1], CLASSES)
    module.head.weight.data, module.head.bias.data = torch.tensor(weight), torch.tensor(bias)

    for only in (False, True):
        net = type(module)()
        net.head = nn.Linear(weight.shape[1], CLASSES)
        net.load_state_dict(module.state_dict())
        net = net.double()
        learned = net.head.parameters() if only else net.parameters()
        optimizer = torch.optim.SGD(learned, lr=0.2)
        wanted = []
        for rows, labels in zip(x, target):
            rows = torch.from_numpy(rows if rows.dtype.kind == "i" else rows.astype(np.float64))
            optimizer.zero_grad()
            y, t = net(rows), torch.from_numpy(labels)
            value = LOSSES[loss](y.movedim(-1, 1), t)
            value.backward()
            optimizer.step()
            wanted.append(value.item())
        selected = ["--only", ",".join(names)] if only else []
        out, losses = tool.train(path, {"x": x}, target, *how, *new, *selected, "--lr", 0.2)
        expect_near(f"losses, only the head: {only}", np.array(losses), np.array(wanted), 1e-9)
        _, found_weight, found_bias = head_of(out, path)
        expect_near("weight", found_weight, net.head.weight.detach().numpy(), 1e-6)
        expect_near("bias", found_bias, net.head.bias.detach().numpy(), 1e-6)

    # The file is valid, runs elsewhere with its new classes, and what did not train has its bytes.
    onnx.checker.check_model(str(out), full_check=True)
    y = ort_run(out, {"x": x[0]})["y"]
    expect_near("in ONNX Runtime", y, tool.run(out, {"x": x[0]})["y"], 1e-5)
    assert y.shape[-1] == CLASSES
    before, after = onnx.load(str(path)), onnx.load(str(out))
    tensors = {t.name: t.SerializeToString() for t in after.graph.initializer}
    assert all(tensors[t.name] == t.SerializeToString() for t in before.graph.initializer if t.name not in names)
    reads = {*names, *(n.removesuffix(".new") for n in names)}
    for a, b in zip(before.graph.node, after.graph.node, strict=True):
        assert reads & set(a.input) or a.SerializeToString() == b.SerializeToString()
    said = {p.key: p.value for p in after.metadata_props}["onnxrun.new_classes"]
    assert said.startswith("y: 5 instead of ") and all(n in said for n in names), said


def cases():
    for name in NETS:
        for kind, options in {
            "dynamo": {"dynamo": True, "external_data": False},
            "unfolded": {"dynamo": True, "external_data": False, "optimize": False},
            "legacy": {"dynamo": False},
        }.items():
            yield f"{name}_{kind}", functools.partial(check, name=name, options=options)
