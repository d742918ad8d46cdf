"""A hundred steps in double: Keras's optimizers, PyTorch's schedules, clipping and gradients of several
batches; TensorBoard's files as TensorFlow reads them."""

import json
import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from support import expect_near, initializers

STEPS, BATCH = 100, 4


def start():
    rng = np.random.default_rng(5)
    return rng.standard_normal((3, 2)), rng.standard_normal(2)


def batches(count=STEPS):
    rng = np.random.default_rng(6)
    return rng.standard_normal((count * BATCH, 3)), rng.standard_normal((count * BATCH, 2))


def write_model(tool):
    """tanh(x W + b) in double."""
    w, b = start()
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["h"]), helper.make_node("Tanh", ["h"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["n", 2])],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")],
    )
    path = tool.path(".onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)
    return path


def train(tool, *options, epochs=1, count=STEPS, batch=BATCH):
    """Losses and learning rates of all steps."""
    x, target = batches(count)
    log, data = tool.path(".jsonl"), tool.save({"x": x, "target": target})
    tool(
        "train", write_model(tool), "--data", data, "--loss", "mse", "--batch-size", batch, "--no-shuffle",
        "--epochs", epochs, "--log", log, "--log-every", 1, "-q", "-o", tool.path(".onnx"), *options,
    )  # fmt: skip
    rows = [json.loads(line) for line in pathlib.Path(log).read_text().splitlines()]
    return [r["loss"] for r in rows], [r["lr"] for r in rows]


# Numbers that float32 has exactly, as Keras's optimizers round some of them to it.
BETAS = ({"beta_1": 0.875, "beta_2": 0.984375}, ["--beta1", 0.875, "--beta2", 0.984375])
KERAS = {
    "keras:adam": ("Adam", *BETAS),
    "keras:adamw": ("AdamW", *BETAS),
    "keras:momentum": ("SGD", {"momentum": 0.75}, ["--momentum", 0.75]),
    "keras:nesterov": ("SGD", {"momentum": 0.875, "nesterov": True}, ["--momentum", 0.875]),
    "keras:rmsprop": ("RMSprop", {"rho": 0.8}, ["--alpha", 0.8]),
    "keras:adagrad": ("Adagrad", {}, []),
    "keras:adadelta": ("Adadelta", {"rho": 0.9}, ["--alpha", 0.9]),
    "lamb": ("Lamb", {**BETAS[0], "epsilon": 2.0**-20}, [*BETAS[1], "--eps", 2.0**-20]),
    "lion": ("Lion", {}, []),
}


def keras_step(tool, name):
    import keras
    import tensorflow as tf

    keras.config.set_floatx("float64")  # of the optimizer's own numbers
    kind, arguments, options = KERAS[name]
    optimizer = getattr(keras.optimizers, kind)(learning_rate=0.02, **arguments)
    w, b = start()
    variables = [keras.Variable(w, dtype="float64"), keras.Variable(b, dtype="float64")]
    xs, targets = batches()
    wanted = []
    for k in range(STEPS):
        part = slice(k * BATCH, (k + 1) * BATCH)
        with tf.GradientTape() as tape:
            y = tf.tanh(xs[part] @ variables[0].value + variables[1].value)
            loss = tf.reduce_mean((y - targets[part]) ** 2)
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        wanted.append(float(loss))
    keras.config.set_floatx("float32")
    losses, _ = train(tool, "--optimizer", name, "--lr", 0.02, *options)
    expect_near("losses", losses, wanted, 1e-9)


class Torch:
    """The same net and data in PyTorch."""

    def __init__(self, count=STEPS):
        w, b = start()
        self.parameters = [torch.tensor(w, requires_grad=True), torch.tensor(b, requires_grad=True)]
        self.optimizer = torch.optim.SGD(self.parameters, lr=0.3, momentum=0.5)
        self.x, self.target = map(torch.tensor, batches(count))

    def loss(self, k, batch=BATCH):
        part = slice(k * batch, (k + 1) * batch)
        y = torch.tanh(self.x[part] @ self.parameters[0] + self.parameters[1])
        return ((y - self.target[part]) ** 2).mean()


SGD = ("--lr", 0.3, "--momentum", 0.5)
PER_EPOCH = 25
schedules = torch.optim.lr_scheduler
SCHEDULES = {
    "cosine:0.1": (lambda o: schedules.CosineAnnealingLR(o, STEPS, 0.03), 1),
    "linear:0.2": (lambda o: schedules.LinearLR(o, 1, 0.2, STEPS), 1),
    "step:2:0.5": (lambda o: schedules.StepLR(o, 2, 0.5), PER_EPOCH),
    "exponential:0.8": (lambda o: schedules.ExponentialLR(o, 0.8), PER_EPOCH),
    "onecycle": (
        lambda o: schedules.OneCycleLR(o, 0.3, total_steps=STEPS, cycle_momentum=False), 1
    ),
}  # fmt: skip


def follow_schedule(tool, name):
    make, every = SCHEDULES[name]
    net = Torch(PER_EPOCH)
    schedule = make(net.optimizer)
    wanted, rates = [], []
    for k in range(STEPS):
        rates.append(net.optimizer.param_groups[0]["lr"])
        net.optimizer.zero_grad()
        loss = net.loss(k % PER_EPOCH)
        loss.backward()
        net.optimizer.step()
        if (k + 1) % every == 0:
            schedule.step()
        wanted.append(loss.item())
    losses, ours = train(tool, *SGD, "--lr-schedule", name, epochs=4, count=PER_EPOCH)
    expect_near("learning rates", ours, rates, 1e-9)
    expect_near("losses", losses, wanted, 1e-9)


def accumulate(tool):
    """Four batches a step are the batch four times as large."""
    wanted, _ = train(tool, *SGD, batch=4 * BATCH)
    losses, _ = train(tool, *SGD, "--accumulate", 4)
    expect_near("losses", losses, wanted, 1e-9)


def clip(tool):
    net, wanted = Torch(), []
    for k in range(STEPS):
        net.optimizer.zero_grad()
        loss = net.loss(k)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters, 0.2)
        net.optimizer.step()
        wanted.append(loss.item())
    losses, _ = train(tool, *SGD, "--clip-norm", 0.2)
    expect_near("losses", losses, wanted, 1e-9)


def ema(tool):
    """PyTorch's averaged model: the weights written, and the loss that validation finds."""
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    w, b = start()
    module = torch.nn.Linear(3, 2, dtype=torch.float64)
    module.weight.data, module.bias.data = torch.tensor(w.T), torch.tensor(b)
    averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.3, momentum=0.5)
    x, target = map(torch.tensor, batches())
    for k in range(STEPS):
        part = slice(k * BATCH, (k + 1) * BATCH)
        optimizer.zero_grad()
        ((torch.tanh(module(x[part])) - target[part]) ** 2).mean().backward()
        optimizer.step()
        averaged.update_parameters(module)
    data, trained, log = tool.save({"x": x.numpy(), "target": target.numpy()}), tool.path(".onnx"), tool.path(".jsonl")
    tool(
        "train", write_model(tool), "--data", data, "--val-data", data, "--loss", "mse", "--batch-size", BATCH,
        "--no-shuffle", "--ema", 0.9, "--log", log, "-q", "-o", trained, *SGD,
    )  # fmt: skip
    expect_near("weights", initializers(trained)["w"], averaged.module.weight.detach().numpy().T, 1e-9)
    wanted = ((torch.tanh(averaged(x)) - target) ** 2).mean().item()
    expect_near("val_loss", json.loads(pathlib.Path(log).read_text())["val_loss"], wanted, 1e-9)


def keras_ema(tool):
    import keras
    import tensorflow as tf

    keras.config.set_floatx("float64")
    w, b = start()
    variables = [keras.Variable(w, dtype="float64"), keras.Variable(b, dtype="float64")]
    optimizer = keras.optimizers.SGD(0.3, use_ema=True, ema_momentum=0.875)
    xs, targets = batches()
    for k in range(STEPS):
        part = slice(k * BATCH, (k + 1) * BATCH)
        with tf.GradientTape() as tape:
            y = tf.tanh(xs[part] @ variables[0].value + variables[1].value)
            loss = tf.reduce_mean((y - targets[part]) ** 2)
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
    optimizer.finalize_variable_values(variables)
    keras.config.set_floatx("float32")
    data, trained = tool.save({"x": xs, "target": targets}), tool.path(".onnx")
    tool(
        "train", write_model(tool), "--data", data, "--loss", "mse", "--batch-size", BATCH, "--no-shuffle", "--ema",
        0.875, "--lr", 0.3, "-q", "-o", trained,
    )  # fmt: skip
    expect_near("weights", initializers(trained)["w"], variables[0].numpy(), 1e-7)


def lr_multiples(tool):
    """Groups of parameters with rates of their own, of an optimizer that decays by its rate."""
    net, wanted = Torch(), []
    groups = [{"params": [net.parameters[0]], "lr": 0.005}, {"params": [net.parameters[1]]}]
    net.optimizer = torch.optim.AdamW(groups, lr=0.02, weight_decay=0.1)
    for k in range(STEPS):
        net.optimizer.zero_grad()
        loss = net.loss(k)
        loss.backward()
        net.optimizer.step()
        wanted.append(loss.item())
    losses, _ = train(
        tool, "--optimizer", "adamw", "--lr", 0.02, "--weight-decay", 0.1, "--lr-mult", "*=3", "--lr-mult", "w=0.25",
        "--lr-mult", "b=1",
    )  # fmt: skip
    expect_near("losses", losses, wanted, 1e-9)


def tensorboard(tool):
    """Scalars and histograms as TensorFlow's own reader of event files finds them."""
    import tensorflow as tf

    folder = pathlib.Path(tool.path(""))
    model, trained = write_model(tool), tool.path(".onnx")
    x, target = batches(5)
    log, data = tool.path(".jsonl"), tool.save({"x": x, "target": target})
    tool(
        "train", model, "--data", data, "--val-split", 0.2, "--metrics", "mae", "--epochs", 3, "--log", log,
        "--tensorboard", folder, "-q", "-o", trained,
    )  # fmt: skip
    rows = [json.loads(line) for line in pathlib.Path(log).read_text().splitlines()]

    def scalars(directory, tag):
        (path,) = directory.glob("events.out.tfevents.*")
        events = tf.compat.v1.train.summary_iterator(str(path))
        values = [(v, e.step) for e in events for v in e.summary.value if v.tag == tag]
        return [v.histo if v.HasField("histo") else v.simple_value for v, _ in values]

    # The graph: every node once, fed by nodes there are; weights stand beside what reads them.
    (path,) = folder.glob("events.out.tfevents.*")
    (graph,) = [e.graph_def for e in tf.compat.v1.train.summary_iterator(str(path)) if e.graph_def]
    graph = tf.compat.v1.GraphDef.FromString(graph)
    nodes = {n.name: n for n in graph.node}
    stored = onnx.load(str(model)).graph
    assert len(nodes) == len(graph.node)
    assert sum(n.op in {m.op_type for m in stored.node} for n in graph.node) == len(stored.node)
    assert all(i.split(":")[0] in nodes for n in graph.node for i in n.input)
    assert nodes["w"].op == "Variable" and any("w" in n.input for n in graph.node)
    (shape,) = nodes["w"].attr["_output_shapes"].list.shape
    assert [d.size for d in shape.dim] == list(initializers(model)["w"].shape)
    assert [n.op for n in graph.node].count("Placeholder") == len(stored.input)

    expect_near("loss", scalars(folder, "loss"), [r["loss"] for r in rows], 1e-6)
    expect_near("lr", scalars(folder, "lr"), [r["lr"] for r in rows], 1e-6)
    validation = scalars(folder / "validation", "mae")
    expect_near("validation", validation, [r["val_mae"] for r in rows], 1e-6)
    last = scalars(folder, "w")[-1]
    w = initializers(trained)["w"]
    assert last.num == w.size == sum(last.bucket)
    expect_near("histogram", [last.min, last.max, last.sum], [w.min(), w.max(), w.sum()], 1e-12)


def cases():
    for name in KERAS:
        yield f"keras_{name}", lambda tool, n=name: keras_step(tool, n)
    for name in SCHEDULES:
        yield f"schedule_{name}", lambda tool, n=name: follow_schedule(tool, n)
    for test in (accumulate, clip, ema, keras_ema, lr_multiples, tensorboard):
        yield test.__name__, test
