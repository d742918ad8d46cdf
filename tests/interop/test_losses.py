"""A hundred steps in double: several losses, a loss as a graph, weights of samples, the cosine loss."""

import json
import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from support import expect_near

STEPS, BATCH, CLASSES = 100, 6, 4
DOUBLE, INT64 = TensorProto.DOUBLE, TensorProto.INT64


def start():
    rng = np.random.default_rng(1)
    return [0.5 * rng.standard_normal(shape) for shape in [(3, 5), (5, 2), (5, CLASSES)]]


def samples():
    rng = np.random.default_rng(2)
    n = STEPS * BATCH
    return {
        "x": rng.standard_normal((n, 3)),
        "a": rng.standard_normal((n, 2)),
        "b": rng.integers(0, CLASSES, n),
        "w": rng.uniform(0, 2, n),
    }


def write_model(tool):
    """tanh(x W) with two heads, a of numbers and b of classes."""
    names = ["w0", "w1", "w2"]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w0"], ["p"]),
            helper.make_node("Tanh", ["p"], ["h"]),
            helper.make_node("MatMul", ["h", "w1"], ["a"]),
            helper.make_node("MatMul", ["h", "w2"], ["b"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", DOUBLE, ["n", 3])],
        [helper.make_tensor_value_info("a", DOUBLE, ["n", 2]), helper.make_tensor_value_info("b", DOUBLE, ["n", 4])],
        [numpy_helper.from_array(v, n) for n, v in zip(names, start())],
    )
    path = tool.path(".onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)
    return path


def write_loss(tool):
    """mean |a - t| + mean w0^2, with a target of its own name and a weight of the model."""
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["a", "t"], ["d"]),
            helper.make_node("Abs", ["d"], ["abs"]),
            helper.make_node("ReduceMean", ["abs"], ["mae"], keepdims=0),
            helper.make_node("Mul", ["w0", "w0"], ["squares"]),
            helper.make_node("ReduceMean", ["squares"], ["decay"], keepdims=0),
            helper.make_node("Add", ["mae", "decay"], ["loss"]),
        ],
        "loss",
        [
            helper.make_tensor_value_info("a", DOUBLE, ["n", 2]),
            helper.make_tensor_value_info("t", DOUBLE, ["n", 2]),
            helper.make_tensor_value_info("w0", DOUBLE, [3, 5]),
        ],
        [helper.make_tensor_value_info("loss", DOUBLE, [])],
    )
    path = tool.path(".loss.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)
    return path


def in_torch(loss_of):
    """Losses of all steps; loss_of(a, b, w0, batch)."""
    weights = [torch.tensor(v, requires_grad=True) for v in start()]
    optimizer = torch.optim.Adam(weights, lr=0.02)
    data = {k: torch.tensor(v) for k, v in samples().items()}
    losses = []
    for k in range(STEPS):
        batch = {n: v[k * BATCH : (k + 1) * BATCH] for n, v in data.items()}
        h = torch.tanh(batch["x"] @ weights[0])
        optimizer.zero_grad()
        loss = loss_of(h @ weights[1], h @ weights[2], weights[0], batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def ours(tool, *options, batch=BATCH):
    log = tool.path(".jsonl")
    tool(
        "train", write_model(tool), "--data", tool.save(samples()), "--batch-size", batch, "--no-shuffle", "--log", log,
        "--log-every", 1, "--optimizer", "adam", "--lr", 0.02, "-q", "-o", tool.path(".onnx"), *options,
    )  # fmt: skip
    return [json.loads(line)["loss"] for line in pathlib.Path(log).read_text().splitlines()]


F = torch.nn.functional


def weighted(values, batch):
    """Each sample's part times its weight, the mean over all."""
    while batch["w"].dim() < values.dim():
        batch = {"w": batch["w"][..., None]}
    return (values * batch["w"]).mean()


CASES = {
    "two": (
        ["--loss", "a=mse", "--loss", "b=0.3*cross_entropy"],
        lambda a, b, w0, d: F.mse_loss(a, d["a"]) + 0.3 * F.cross_entropy(b, d["b"]),
    ),
    "two_of_one_output": (
        ["--loss", "a=mse", "--loss", "a=0.5*mae", "--target", "a=a"],
        lambda a, b, w0, d: F.mse_loss(a, d["a"]) + 0.5 * F.l1_loss(a, d["a"]),
    ),
    "chosen_by_targets": (
        ["--target", "a=a", "--target", "b=b"],
        lambda a, b, w0, d: F.mse_loss(a, d["a"]) + F.cross_entropy(b, d["b"]),
    ),
    "graph": (
        None,
        lambda a, b, w0, d: F.l1_loss(a, d["a"]) + (w0 * w0).mean(),
    ),
    "graph_and_loss": (
        None,
        lambda a, b, w0, d: 0.25 * (F.l1_loss(a, d["a"]) + (w0 * w0).mean()) + F.cross_entropy(b, d["b"]),
    ),
    "cosine": (
        ["--loss", "a=cosine", "--target", "a=a"],
        lambda a, b, w0, d: F.cosine_embedding_loss(a, d["a"], torch.ones(len(a))),
    ),
    "weighted_mse": (
        ["--loss", "a=mse", "--target", "a=a", "--sample-weights", "w"],
        lambda a, b, w0, d: weighted((a - d["a"]) ** 2, d),
    ),
    "weighted_sum": (
        ["--loss", "a=mse", "--target", "a=a", "--sample-weights", "w", "--reduction", "sum"],
        lambda a, b, w0, d: ((a - d["a"]) ** 2 * d["w"][:, None]).sum(),
    ),
    "weighted_classes": (
        ["--loss", "b=cross_entropy", "--target", "b=b", "--sample-weights", "w", "--label-smoothing", 0.1],
        lambda a, b, w0, d: weighted(F.cross_entropy(b, d["b"], reduction="none", label_smoothing=0.1), d),
    ),
    "weighted_both": (
        ["--loss", "a=mse", "--loss", "b=cross_entropy", "--sample-weights", "w"],
        lambda a, b, w0, d: weighted((a - d["a"]) ** 2, d) + weighted(F.cross_entropy(b, d["b"], reduction="none"), d),
    ),
}  # fmt: skip


def follow(tool, name):
    options, loss_of = CASES[name]
    if options is None:
        options = ["--loss", write_loss(tool), "--target", "t=a"]
        if name == "graph_and_loss":
            options = ["--loss", f"0.25*{options[1]}", "--loss", "b=cross_entropy", *options[2:]]
    expect_near("losses", ours(tool, *options), in_torch(loss_of), 1e-9)


def keras_sample_weights(tool):
    """Keras's sum over batch size, and its class weights as weights of samples."""
    import keras

    keras.config.set_floatx("float64")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5, "tanh", use_bias=False)])
    model.add(keras.layers.Dense(2, use_bias=False))
    model.set_weights(start()[:2])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    data = samples()
    wanted = []
    for k in range(20):
        part = slice(k * BATCH, (k + 1) * BATCH)
        wanted.append(float(model.train_on_batch(data["x"][part], data["a"][part], sample_weight=data["w"][part])))
        model.reset_metrics()
    keras.config.set_floatx("float32")
    options = ["--loss", "a=mse", "--target", "a=a", "--sample-weights", "w", "--optimizer", "sgd", "--lr", 0.1]
    log = tool.path(".jsonl")
    tool(
        "train", write_model(tool), "--data", tool.save(data), "--batch-size", BATCH, "--no-shuffle", "--log", log,
        "--log-every", 1, "--max-steps", 20, "-q", "-o", tool.path(".onnx"), *options,
    )  # fmt: skip
    rows = [json.loads(line)["loss"] for line in pathlib.Path(log).read_text().splitlines()]
    expect_near("losses", rows, wanted, 1e-6)


def cases():
    for name in CASES:
        yield name, lambda tool, n=name: follow(tool, n)
    yield "keras_sample_weights", keras_sample_weights
