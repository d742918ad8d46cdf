"""Fresh nets, whose equal tensors an exporter stores once, train as PyTorch trains them."""

import functools
import json
import sys
import warnings

import numpy as np
import onnx
import torch
from torch import nn

from examples import EXAMPLES
from support import expect_near, initializers

sys.path.append(str(EXAMPLES))
from to_pytorch import trained_state

STEPS, ROWS = 8, 5


class Encoder(nn.Module):
    def __init__(self, batch_first=True, width=16):
        super().__init__()
        self.inp = nn.Linear(6, width)
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, 0.0, batch_first=batch_first)
        self.enc = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.enc(self.inp(x)).mean(1))


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 8)
        self.first, self.second = nn.LayerNorm(8), nn.LayerNorm(8)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.second(torch.tanh(self.b(self.first(self.a(x))))).mean(1))


class ZeroBiases(nn.Module):
    """Every bias starts from zero, as many initializations have it."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(5, 8, 3), nn.Tanh(), nn.ConvTranspose1d(8, 8, 3), nn.Tanh(), nn.Conv1d(8, 8, 3)
        )
        self.mid, self.out = nn.Linear(32, 8), nn.Linear(8, 3)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, x):
        return self.out(torch.tanh(self.mid(self.body(x).flatten(1))))


class Twins(nn.Module):
    """Two equal branches with norms, in which scales are running variances, too."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
        self.n1, self.n2 = nn.BatchNorm1d(6), nn.BatchNorm1d(6)
        self.o = nn.Linear(6, 3)
        self.b.load_state_dict(self.a.state_dict())

    def forward(self, x):
        x = x[:, 0]
        return self.o(self.n1(torch.tanh(self.a(x))) + self.n2(torch.relu(self.b(x))))


class Tied(nn.Module):
    """28 numbers that are an embedding and the head; the two norms are fresh, not tied."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(7, 4)
        self.first, self.second = nn.LayerNorm(4), nn.LayerNorm(4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.emb.weight

    def forward(self, x):
        return self.head(self.second(torch.tanh(self.first(self.emb(x).sum(1)))))


class TiedLayers(nn.Module):
    """One matrix in three modules, and a module that is called twice."""

    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(6, 4)
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.b.weight = self.c.weight = self.a.weight
        self.norm, self.last = nn.LayerNorm(4), nn.LayerNorm(4)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        x = torch.tanh(self.a(self.inp(x).sum(1)))
        x = self.norm(self.c(self.norm(self.b(x))))
        return self.out(self.last(x))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.RNN(6, 6, batch_first=True), nn.RNN(6, 6, batch_first=True)
        self.second.load_state_dict(self.first.state_dict())
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        return self.out(self.second(self.first(x)[0])[0][:, -1])


NUMBERS = lambda random: random.normal(size=(ROWS, 5, 6)).astype(np.float32)
TOKENS = lambda random: random.integers(0, 7, (ROWS, 5))
# name: module, batch, classes, exporters, options of the export
NETS = {
    "encoder": (Encoder, NUMBERS, 3, {}),
    "encoder_time_first": (lambda: Encoder(False), NUMBERS, 3, {}),
    # 48 * 48 elements: the legacy exporter merges them, the other one does not.
    "encoder_wide": (lambda: Encoder(width=48), NUMBERS, 3, {}),
    "norms": (Norms, NUMBERS, 3, {}),
    "zero_biases": (ZeroBiases, NUMBERS, 3, {}),
    "twins": (Twins, NUMBERS, 3, {"dynamo": {"optimize": False}}),
    "twins_unfolded": (Twins, NUMBERS, 3, {"dynamo": None, "legacy": {"do_constant_folding": False}}),
    "tied": (Tied, TOKENS, 7, {"legacy": {"do_constant_folding": False}}),
    "tied_layers": (TiedLayers, NUMBERS, 3, {}),
    "recurrent": (Recurrent, NUMBERS, 3, {"dynamo": None}),
}


def exported(tool, name, exporter):
    make, batch, classes, options = NETS[name]
    torch.manual_seed(3)
    module = make().eval()
    random = np.random.default_rng(4)
    data = np.stack([batch(random) for _ in range(STEPS)])
    target = random.integers(0, classes, (STEPS, ROWS))
    path = tool.path(".onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, torch.from_numpy(data[0]), str(path), dynamo=exporter == "dynamo", verbose=False,
            external_data=False, input_names=["x"], output_names=["y"], **(options.get(exporter) or {}),
        )  # fmt: skip
    return module, path, data, target


def framework_losses(module, data, target):
    module = module.double()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    losses = []
    for x, t in zip(data, target):
        x = torch.from_numpy(x.astype(np.float64) if x.dtype.kind == "f" else x)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(x), torch.from_numpy(t))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def trained(tool, path, data, target, *options):
    return tool.train(
        path, {"x": data}, target, "--loss", "cross_entropy", "--optimizer", "adam", "--lr", 0.01,
        "--precision", "float64", "--batchnorm", "frozen", *options,
    )  # fmt: skip


def check(tool, name, exporter):
    module, path, data, target = exported(tool, name, exporter)
    out, losses = trained(tool, path, data, target)
    expect_near("losses", np.array(losses), np.array(framework_losses(module, data, target)), 3e-8)

    # The file is a valid one that says what was added, and nothing is left to split in it.
    onnx.checker.check_model(str(out))
    added = set(initializers(out)) - set(initializers(path))
    said = {p.key: p.value for p in onnx.load(str(out)).metadata_props}.get("onnxrun.unshared", "")
    assert {line.rsplit(" from ", 1)[0].removesuffix(" added") for line in said.splitlines()} == added
    again, _ = trained(tool, out, data, target)
    assert set(initializers(again)) == set(initializers(out))

    # Told to leave it, the file keeps its tensors but for those in two roles.
    out, _ = trained(tool, path, data, target, "--unshare", "never")
    added = set(initializers(out)) - set(initializers(path))
    assert all("running" in n for n in added) and (not added or name.startswith("twins")), added


def test_tied_head_trains_as_one(tool):
    for exporter in ("dynamo", "legacy"):
        module, path, data, target = exported(tool, "tied", exporter)
        framework_losses(module, data, target)
        state = module.state_dict()
        out, _ = trained(tool, path, data, target)
        stored = initializers(out)
        heads = [n for n in ("emb.weight", "head.weight") if n in stored]
        assert len(heads) == 1 and {"first.weight", "second.weight"} <= set(stored), list(stored)
        expect_near("head", stored[heads[0]], state["head.weight"].numpy(), 1e-6)


def test_always_tells_tied_layers_apart(tool):
    _, path, data, target = exported(tool, "tied_layers", "dynamo")
    out, _ = trained(tool, path, data, target, "--unshare", "always")
    assert {"c.weight", "c.weight/a", "c.weight/b"} <= set(initializers(out))


def test_weights_go_back_by_name(tool):
    module, path, data, target = exported(tool, "norms", "dynamo")
    out, _ = trained(tool, path, data, target)
    framework_losses(module, data, target)
    stored = initializers(out)
    for name, value in module.named_parameters():
        if name in stored:
            expect_near(name, stored[name], value.detach().numpy(), 1e-5)
    assert {"first.weight", "second.weight", "first.bias", "second.bias"} <= set(stored)


def test_weights_go_back_into_the_module(tool):
    for name, exporter in (("encoder", "dynamo"), ("encoder", "legacy"), ("zero_biases", "dynamo")):
        module, path, data, target = exported(tool, name, exporter)
        out, _ = trained(tool, path, data, target)
        module.load_state_dict(trained_state(module.state_dict(), path, out))
        with torch.no_grad():
            wanted = module(torch.from_numpy(data[0])).numpy()
        expect_near(f"{name} {exporter}", tool.run(out, {"x": data[0]})["y"], wanted, 1e-5)


def test_splits_are_said(tool):
    _, path, data, target = exported(tool, "norms", "dynamo")
    listed = json.loads(
        tool("train", path, "--data", tool.save({"x": data, "target": target}), "--prebatched",
             "--json", "-o", tool.path(".onnx"))
    )  # fmt: skip
    assert "second.weight" in listed["trained"]
    assert {"name": "second.weight", "from": "first.weight"} in listed["unshared"]


def cases():
    for name, (_, _, _, options) in NETS.items():
        for exporter in ("dynamo", "legacy"):
            if options.get(exporter, {}) is not None:
                yield f"{name}_{exporter}", functools.partial(check, name=name, exporter=exporter)
