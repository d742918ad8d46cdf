"""The systems of examples/xor_and_digits and recurrent_classifier beside PyTorch.

Every net is exported afresh by the scripts there, by both exporters where both can. What is measured
is printed.
"""

import csv
import sys

import numpy as np
import onnx
import torch
import torch.nn.functional as F

from examples import EXAMPLES, data, expect_stored, exporter, note
from support import distance, expect_near

sys.path.append(str(EXAMPLES))
from to_pytorch import trained_state

LOSSES = {
    "nll": F.nll_loss,
    "nll_probs": lambda y, t: F.nll_loss(torch.log(y), t),
    "cross_entropy": F.cross_entropy,
    "mse": F.mse_loss,
}
OPTIMIZERS = {
    "sgd": (lambda p: torch.optim.SGD(p, 0.1), ["--lr", 0.1]),
    "nesterov": (
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True), ["--lr", 0.05, "--momentum", 0.9]
    ),
    "adam": (lambda p: torch.optim.Adam(p, 0.01), ["--lr", 0.01]),
}  # fmt: skip


def first(result):
    return result[0] if isinstance(result, tuple) else result


def torch_losses(module, optimizer, loss, batches, targets):
    """The losses before every step; the module is left trained, in the precision it came in."""
    precision = next(module.parameters()).dtype
    as_tensor = lambda a: torch.tensor(a) if a.dtype.kind in "iu" else torch.tensor(a).to(precision)
    step, losses = OPTIMIZERS[optimizer][0](module.parameters()), []
    torch.set_default_dtype(precision)  # of the zeros that RNN_V2 starts from
    for k in range(len(targets)):
        value = LOSSES[loss](first(module(*[as_tensor(b[k]) for b in batches.values()])), as_tensor(targets[k]))
        step.zero_grad()
        value.backward()
        step.step()
        losses.append(value.item())
    torch.set_default_dtype(torch.float32)
    return losses


def follow(tool, module, path, optimizer, loss, batches, targets, options=(), torch_targets=None):
    """Trains both in double, PyTorch on targets of its own if it has them; how far the losses lie apart.
    The trained weights then go back into PyTorch."""
    given = targets if torch_targets is None else torch_targets
    exported = {n: t.clone() for n, t in module.state_dict().items()}
    theirs = torch_losses(module.double(), optimizer, loss, batches, given)
    output = onnx.load(str(path)).graph.output[0].name
    trained, ours = tool.train(
        path, batches, targets, "--loss", f"{output}={loss}", "--optimizer", optimizer, *OPTIMIZERS[optimizer][1],
        "--precision", "float64", *options,
    )  # fmt: skip
    expect_near("losses", ours, theirs, 1e-9)
    if not isinstance(module, FirstBias):  # a bias that PyTorch has not
        module.float().load_state_dict(trained_state(exported, path, trained))
        inputs = {n: b[0] for n, b in batches.items()}
        with torch.no_grad():
            back = first(module(*[torch.tensor(v) for v in inputs.values()])).numpy()
        expect_near("output of PyTorch", back, tool.run(trained, inputs)[output].reshape(back.shape), 1e-5)
    return distance(ours, theirs)


def fresh(tool, name):
    module = exporter("xor_and_digits").export(name, tool.directory)
    expect_stored("xor_and_digits", f"{name}.onnx", tool.directory / f"{name}.onnx")
    return module, tool.directory / f"{name}.onnx"


# --- A lecture on neural networks ----------------------------------------------------------------


def test_gates(tool):
    _, path = fresh(tool, "gates")
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    a, b = x.T.astype(bool)
    wanted = {"and": a & b, "or": a | b, "not": ~a, "xor": a ^ b}
    for name, value in tool.run(path, {"x": x}).items():
        assert np.array_equal(value[:, 0], wanted[name].astype(np.float32)), name
    note("AND, OR, NOT, XOR of fixed weights are right")


def test_activations(tool):
    """Beside the lecture's own formulas."""
    _, path = fresh(tool, "activations")
    x = np.linspace(-5, 5, 1000)
    wanted = {
        "logistic": 1 / (1 + np.exp(-x)), "heaviside": x > 0, "relu": np.maximum(x, 0), "tanh": np.tanh(x),
        "leaky_relu": np.maximum(x, 0.1 * x),
        "gelu": 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    }  # fmt: skip
    for name, value in tool.run(path, {"x": x.astype(np.float32)}).items():
        expect_near(name, value, np.asarray(wanted[name], np.float32), 1e-6)


XOR = [([0, 0], 0), ([0, 1], 1), ([1, 0], 1), ([1, 1], 0)]


def xor_history(tool, path, precision, epochs):
    log = tool.path(".csv")
    tool(
        "train", path, "--data", "x=[[0,0],[0,1],[1,0],[1,1]]", "--data", "target=[[0],[1],[1],[0]]", "--loss",
        "bce", "--lr", 0.03, "--epochs", epochs, "--batch-size", 1, "--no-shuffle", "--log", log, "-q",
        "--precision", precision, "-o", tool.path(".onnx"),
    )  # fmt: skip
    with open(log) as file:
        return np.array([4 * float(row["loss"]) for row in csv.DictReader(file)])


def test_xor(tool):
    """All 50,000 epochs beside the history that PyTorch's own loop left in torch_losses.npz (it takes
    PyTorch minutes; `export.py losses` writes it), and that one's first 1,000 beside PyTorch now."""
    script = exporter("xor_and_digits")
    _, path = fresh(tool, "xor")
    stored = data("xor_and_digits", "torch_losses.npz")
    for precision, allowed in (("float32", 1e-3), ("float64", 1e-9)):
        now = script.xor_losses(getattr(torch, precision), 1000)[:: script.EVERY]
        expect_near("PyTorch's history now", now, stored[precision][: len(now)], allowed)
        ours = xor_history(tool, path, precision, 50000)[:: script.EVERY]
        expect_near(f"history in {precision}", ours, stored[precision], allowed)
        relative = np.max(np.abs(ours / stored[precision] - 1))
        note(
            f"{precision}: losses of 50,000 epochs, {ours[0]:.6f} to {ours[-1]:.6f}, are PyTorch's to "
            f"{distance(ours, stored[precision]):.1e}, each to {relative:.1e} of itself"
        )
        assert relative < allowed


def classifier(tool, name, optimizer):
    module, path = fresh(tool, name)
    classes = data("xor_and_digits", "classes.npz")
    x, y = classes["x"][:1000].reshape(50, 20, 16), classes["y"][:1000].astype(np.int64).reshape(50, 20)
    loss = {"softmax": "nll_probs", "log_softmax": "nll"}[name]
    note(f"50 losses are PyTorch's to {follow(tool, module, path, optimizer, loss, {'x': x}, y):.1e}")


MNIST = EXAMPLES / "data" / "mnist"


def digits(tool, name, epochs, least):
    """From the same start, in the same order: the first epoch's losses, and the end."""
    module, path = fresh(tool, name)
    files = {
        part: [MNIST / f"{part}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
        for part in ("train", "t10k")
    }
    log, trained = tool.path(".csv"), tool.path(".onnx")
    images, labels = files["train"]
    tool(
        "train", path, "--data", f"x={images}", "--data", f"target={labels}", "--scale", "x=1/255", "--loss",
        "cross_entropy", "--optimizer", "adam", "--epochs", epochs, "--batch-size", 64, "--no-shuffle", "--log",
        log, "--log-every", 1, "-q", "-o", trained,
    )  # fmt: skip
    with open(log) as file:
        ours = np.array([float(row["loss"]) for row in csv.DictReader(file)])

    read = lambda part: [torch.from_numpy(idx(path)) for path in files[part]]
    x, y = read("train")
    x, y = (x.float() * (1 / 255.0))[:, None], y.long()
    optimizer, theirs = torch.optim.Adam(module.parameters()), []
    torch.set_num_threads(1)  # small batches; several wait for each other on a busy machine
    for _ in range(epochs):
        for k in range(0, len(x), 64):
            loss = F.cross_entropy(module(x[k : k + 64]), y[k : k + 64])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            theirs.append(loss.item())
    assert len(ours) == len(theirs)
    expect_near("losses of the first epoch", ours[:125], theirs[:125], 1e-4)
    expect_near("mean loss of the last epoch", ours[-125:].mean(), np.mean(theirs[-125:]), 0.1)

    x, y = read("t10k")
    x = (x.float() * (1 / 255.0))[:, None]
    with torch.no_grad():
        reference = (module(x).argmax(1) == y).float().mean().item()
    found = (tool.run(trained, {"x": x.numpy()})["logits"].argmax(1) == y.numpy()).mean()
    note(f"{epochs} epochs: {found:.2%} of the test digits are right, of PyTorch's {reference:.2%}")
    assert found >= least and abs(found - reference) < 0.01


def idx(path):
    import gzip

    raw = gzip.open(path).read()
    rank = raw[3]
    shape = np.frombuffer(raw, ">i4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()


# --- A recurrent classifier ----------------------------------------------------------------------


def recurrent(tool, name, by):
    """Outputs in float32, and 12 steps in double, of another time and batch than were exported."""
    script = exporter("recurrent_classifier")
    module = script.export(name, tool.directory, by)
    path = tool.directory / f"{name}.onnx"
    if script.STORED.get(name) == by:
        expect_stored("recurrent_classifier", f"{name}.onnx", path)
    time = script.STEPS if script.has_fixed_time(name, by) else 17
    batch, steps = 6, 12
    task = script.remember(batch * steps, 4)
    split = lambda a: np.stack(np.split(a[:time], steps, axis=1))
    batches = {"x": split(task["x"]).astype(np.float32)}
    if name == "rnn_v1":
        batches["x"] = batches["x"][:, 0]
        batches["h0"] = np.random.default_rng(1).normal(size=(steps, batch, 50)).astype(np.float32)
    elif name == "rnn_v2_given":
        batches["h0"] = np.random.default_rng(1).normal(size=(steps, batch, 50)).astype(np.float32)
    elif name.endswith("_stream"):
        for state in ("h0", "c0") if name.startswith("lstm") else ("h0",):
            batches[state] = np.random.default_rng(1).normal(size=(steps, 1, batch, 50)).astype(np.float32)

    inputs = {n: b[0] for n, b in batches.items()}
    with torch.no_grad():
        wanted = module(*[torch.tensor(v) for v in inputs.values()])
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for (output, value), theirs in zip(tool.run(path, inputs).items(), wanted):
        expect_near(output, value, theirs.numpy(), 1e-5)

    loss, targets, options, given = "nll", split(task["y"][None])[:, 0], [], None
    if name == "rnn_v2" and by == "dynamo":
        module = FirstBias(module)
    elif name == "rnn_v3":
        # Its log-probabilities run over the batch: no class loss fits them.
        loss, targets = "mse", np.random.default_rng(2).normal(size=(steps, 1, batch, 2))
    elif name.endswith(("_many_to_many", "_stream")):
        # Over all steps; PyTorch wants the classes second.
        loss, targets, options = "cross_entropy", split(task["every"]), ["--class-axis", 2]
        module, given = Flat(module), targets.reshape(steps, -1)
    far = follow(tool, module, path, "adam", loss, batches, targets, options, given)
    note(f"12 losses are PyTorch's to {far:.1e} (time {time})")


class FirstBias(torch.nn.Module):
    """RNN_V2 as the default exporter writes it: the first step's bias is a parameter of its own."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.first = torch.nn.Parameter(inner.h2h.bias.detach().clone())

    def forward(self, x):
        cell = self.inner
        hidden = torch.tanh(cell.i2h(x[0]) + self.first)
        for step in x[1:]:
            hidden = torch.tanh(cell.i2h(step) + cell.h2h(hidden))
        return cell.softmax(cell.h2o(hidden))


class Flat(torch.nn.Module):
    """[time, batch, classes] as [time batch, classes]."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *inputs):
        return first(self.inner(*inputs)).flatten(0, 1)


def streaming(tool, name):
    """The states fed in and read out, step by step: the bits of the whole sequence at once."""
    script = exporter("recurrent_classifier")
    script.export(name, tool.directory, "legacy")
    path, rng = tool.directory / f"{name}.onnx", np.random.default_rng(5)
    x = rng.normal(size=(9, 3, 100)).astype(np.float32)
    states = {s: np.zeros((1, 3, 50), np.float32) for s in (("h0", "c0") if "lstm" in name else ("h0",))}
    whole = tool.run(path, {"x": x, **states})
    for t in range(len(x)):
        outputs = tool.run(path, {"x": x[t : t + 1], **states})
        assert np.array_equal(outputs["output"][0], whole["output"][t]), f"step {t}"
        states = {s: outputs[s.replace("0", "1")] for s in states}
    for s in states:
        assert np.array_equal(states[s], whole[s.replace("0", "1")]), s
    note("9 steps, one by one: the bits of all at once")


def cases():
    for name in ("softmax", "log_softmax"):
        for optimizer in OPTIMIZERS:
            yield f"{name}_{optimizer}", lambda tool, n=name, o=optimizer: classifier(tool, n, o)
    yield "mlp", lambda tool: digits(tool, "mlp", 12, 0.94)
    yield "cnn", lambda tool: digits(tool, "cnn", 6, 0.97)
    for name in exporter("recurrent_classifier").MODELS:
        for by in ("dynamo", "legacy"):
            yield f"{name}_{by}", lambda tool, n=name, b=by: recurrent(tool, n, b)
        if name.endswith("_stream"):
            yield f"{name}_step_by_step", lambda tool, n=name: streaming(tool, n)
