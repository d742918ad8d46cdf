"""Keras models on TensorFlow, exported through tf2onnx: outputs, gradients and training."""

import contextlib
import dataclasses
import io
import logging
import os
import sys
from typing import Any, Callable

import numpy as np
import onnx

from examples import EXAMPLES, run_script
from support import expect_near, initializers, ort_run

sys.path.append(str(EXAMPLES))
from to_keras import load_trained

STEPS, BATCH, CLASSES = 5, 4, 3


def keras():
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


@dataclasses.dataclass
class Net:
    """A sequence of layers, made by a function of the keras module."""

    shape: tuple[int, ...]
    layers: Callable[[Any], list]
    optimizer: str = "sgd"
    tokens: int = 0  # the inputs are below this number; 0 is padding, at the ends
    # False where the file has parameters that Keras has not, or lacks some: see its net.
    trains: bool = True
    # Why weights cannot be carried back from the trained file, if they cannot.
    lost: str = ""


NO_BIAS = "the file has biases of zeros, which train unless --freeze names them, and Keras has none"

NETS = {
    "mlp": Net(
        (7,),
        lambda k: [k.layers.Dense(9, activation="relu"), k.layers.Dense(6, activation="tanh")],
    ),
    "mlp_adam": Net(
        (5,),
        lambda k: [k.layers.Dense(8, activation="silu"), k.layers.Dense(6, activation="elu")],
        "adam",
    ),
    "cnn": Net(
        (12, 10, 2),
        lambda k: [
            k.layers.Conv2D(4, 3, activation="relu", padding="same", strides=2),
            k.layers.MaxPooling2D(2),
            k.layers.Flatten(),
        ],
        "momentum",
    ),
    "cnn_1d": Net(
        (20, 3),
        lambda k: [
            k.layers.Conv1D(5, 4, strides=2, activation="tanh"),
            k.layers.AveragePooling1D(2),
            k.layers.GlobalAveragePooling1D(),
        ],
        "nesterov",
    ),
    "depthwise": Net(
        (8, 8, 3),
        lambda k: [
            k.layers.DepthwiseConv2D(3, padding="same"),
            k.layers.ReLU(),
            k.layers.Conv2D(4, 1),
            k.layers.GlobalAveragePooling2D(),
        ],
        "adam",
    ),
    "layer_norm": Net(
        (6, 4), lambda k: [k.layers.Dense(5), k.layers.LayerNormalization(), k.layers.Flatten()]
    ),
    "embedding": Net(
        (6,), lambda k: [k.layers.Embedding(9, 5), k.layers.GlobalAveragePooling1D()], tokens=9
    ),
    # The file has Keras' batch norm as Mul and Add of folded statistics.
    "batch_norm": Net(
        (6, 6, 2),
        lambda k: [
            k.layers.Conv2D(3, 3, activation="relu"),
            k.layers.BatchNormalization(),
            k.layers.Flatten(),
        ],
        trains=False,
    ),
    # The LSTM node has two biases where Keras has one or none.
    "lstm": Net((5, 4), lambda k: [k.layers.LSTM(6)], trains=False),
    "lstm_no_bias": Net((5, 4), lambda k: [k.layers.LSTM(6, use_bias=False)], "adam", lost=NO_BIAS),
    "lstm2": Net(
        (4, 3),
        lambda k: [
            k.layers.LSTM(5, return_sequences=True, use_bias=False),
            k.layers.LSTM(2, go_backwards=True, use_bias=False),
        ],
        lost=NO_BIAS,
    ),
    "bilstm": Net(
        (3, 4), lambda k: [k.layers.Bidirectional(k.layers.LSTM(5, use_bias=False))], "momentum", lost=NO_BIAS
    ),
    "bilstm_sequences": Net(
        (3, 4),
        lambda k: [
            k.layers.Bidirectional(k.layers.LSTM(5, return_sequences=True), merge_mode="sum"),
            k.layers.Flatten(),
        ],
        trains=False,
    ),
    "gru": Net((5, 4), lambda k: [k.layers.GRU(6)]),
    "gru_reset_before": Net((4, 2), lambda k: [k.layers.GRU(3, reset_after=False)], "adam"),
    "bigru": Net((4, 3), lambda k: [k.layers.Bidirectional(k.layers.GRU(4))]),
    "simple_rnn": Net((6, 3), lambda k: [k.layers.SimpleRNN(5)], "adam"),
    "simple_rnn2": Net(
        (3, 3),
        lambda k: [
            k.layers.SimpleRNN(5, activation="relu", return_sequences=True),
            k.layers.SimpleRNN(4, return_sequences=True),
            k.layers.Flatten(),
        ],
    ),
    # unroll cuts the kernels into constants of their own.
    "gru_unrolled": Net((3, 4), lambda k: [k.layers.GRU(5, unroll=True)], trains=False),
    "masked_lstm": Net(
        (6,), lambda k: [k.layers.Embedding(9, 4, mask_zero=True), k.layers.LSTM(5)], tokens=9
    ),
    "masked_gru": Net(
        (5,), lambda k: [k.layers.Embedding(7, 3, mask_zero=True), k.layers.GRU(4)], tokens=7
    ),
}


def make_inputs(net, rng):
    shape = (STEPS, BATCH, *net.shape)
    if not net.tokens:
        return rng.standard_normal(shape).astype(np.float32)
    x = rng.integers(1, net.tokens, shape).astype(np.float32)
    lengths = rng.integers(1, net.shape[0] + 1, (STEPS, BATCH, 1))
    return np.where(np.arange(net.shape[0]) < lengths, x, 0).astype(np.float32)


def make(net, seed):
    """The model with random weights: fresh biases are zeros, which the exporter leaves out."""
    k = keras()
    k.utils.set_random_seed(seed)
    layers = net.layers(k)
    model = k.Sequential(
        [k.Input(net.shape), *layers, k.layers.Dense(CLASSES, activation="softmax")]
    )
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = rng.standard_normal(weight.shape).astype(np.float32) * 0.4
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)
    return model


def export(tool, model):
    """The file and the name of its input."""
    path = tool.path(".onnx")
    with contextlib.redirect_stdout(io.StringIO()):
        model.export(str(path), format="onnx", verbose=False)
    return path, onnx.load(str(path)).graph.input[0].name


def biases_of_lstms(path):
    nodes = onnx.load(str(path)).graph.node
    return [n.input[3] for n in nodes if n.op_type == "LSTM" and n.input[3]]


def same_tensors(stored, model):
    """Pairs of a stored tensor's name and the weight that it is, unless two have its values."""
    for weight in model.trainable_weights:
        value = weight.numpy()
        names = [n for n, t in stored.items() if np.array_equal(t, value)]
        if len(names) == 1:
            yield names[0], weight


def check_gradients(tool, net, model, path, name, x, rng):
    import tensorflow as tf

    cotangent = rng.standard_normal((BATCH, CLASSES)).astype(np.float32)
    pairs = dict(same_tensors(initializers(path), model))
    with tf.GradientTape() as tape:
        given = tf.constant(x)
        tape.watch(given)
        total = tf.reduce_sum(model(given) * cotangent)
        sources = [w.value for w in pairs.values()] + ([] if net.tokens else [given])
    wanted = tape.gradient(total, sources)
    names = [*pairs, *([] if net.tokens else [name])]
    file = tool.path(".npy")
    np.save(file, cotangent)
    (output,) = tool.run(path, {name: x})
    wrt = tool.path(".txt")
    wrt.write_text("\n".join(names) + "\n")
    ours = tool.gradients(
        path, {name: x}, "--double", "--cotangent", f"{output}={file}", "--wrt", f"@{wrt}"
    )
    for n, value in zip(names, wanted):
        expect_near(f"gradient of {n}", ours[n], tf.convert_to_tensor(value).numpy(), 1e-3)


def make_optimizer(k, name):
    """Keras' optimizer and our options."""
    if name == "adam":
        return k.optimizers.Adam(0.01), ["--optimizer", "keras:adam", "--lr", 0.01]
    if name == "sgd":
        return k.optimizers.SGD(0.1), ["--optimizer", "sgd", "--lr", 0.1]
    optimizer = k.optimizers.SGD(0.05, momentum=0.9, nesterov=name == "nesterov")
    return optimizer, ["--optimizer", name, "--lr", 0.05, "--momentum", 0.9]


def check_back(tool, net, path, trained, x):
    """The trained weights carried back into a model as it was exported, which then gives our outputs."""
    model, missing = make(net, seed=5), []
    model(x)
    load_trained(model, path, trained, missing)
    assert bool(missing) == bool(net.lost), f"not carried back: {missing}; expected: {net.lost}"
    if not net.lost:
        (ours,) = tool.run(trained, {onnx.load(str(path)).graph.input[0].name: x}).values()
        expect_near("output of Keras with the trained weights", model(x).numpy(), ours, 1e-4)


def check(tool, net):
    k, rng = keras(), np.random.default_rng(5)
    model = make(net, seed=5)
    x, y = make_inputs(net, rng), rng.integers(0, CLASSES, (STEPS, BATCH))
    model(x[0])  # the exporter wants a model that was called
    path, name = export(tool, model)
    for level in (0, 2):
        (ours,) = tool.run(path, {name: x[0]}, "--optimize", level).values()
        expect_near(f"output, --optimize {level}", ours, model(x[0]).numpy(), 1e-5)
    check_gradients(tool, net, model, path, name, x[0], rng)
    trained, _ = tool.train(path, {name: x}, y, "--loss", "nll_probs", "--lr", 0.1)
    check_back(tool, net, path, trained, x[0])
    if not net.trains:
        return

    optimizer, options = make_optimizer(k, net.optimizer)
    loss = k.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer=optimizer, loss=loss)
    wanted = []
    for batch, labels in zip(x, y):
        wanted.append(float(loss(labels, model(batch, training=True))))
        model.train_on_batch(batch, labels)
    frozen = biases_of_lstms(path)
    options += ["--freeze", ",".join(frozen)] if frozen else []
    trained, losses = tool.train(path, {name: x}, y, "--loss", "nll_probs", *options)
    expect_near("losses", losses, wanted, 1e-4)
    ((output, ours),) = tool.run(trained, {name: x[0]}).items()
    expect_near("output of the trained file", ours, model(x[0]).numpy(), 1e-3)
    expect_near("ONNX Runtime's output", ort_run(trained, {name: x[0]})[output], ours, 1e-4)


def test_to_keras(tool):
    """The script as its page calls it."""
    k = keras()
    model = k.Sequential([k.Input((5,)), k.layers.Dense(6, "tanh"), k.layers.Dense(3)])
    for weight in model.weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    before, after = tool.directory / "before.keras", tool.directory / "after.keras"
    model(np.zeros((1, 5), np.float32))  # the exporter wants a model that was called
    model.save(before)
    path, name = export(tool, model)
    x, y = np.ones((4, 8, 5), np.float32), np.zeros((4, 8, 3), np.float32)
    trained, _ = tool.train(path, {name: x}, y, "--loss", "mse", "--lr", 0.1)
    run_script("to_keras.py", path, trained, before, after)
    theirs = k.saving.load_model(after)(x[0]).numpy()
    (ours,) = tool.run(trained, {name: x[0]}).values()
    expect_near("output of Keras", theirs, ours, 1e-5)


def cases():
    for name, net in NETS.items():
        yield name, lambda tool, n=net: check(tool, n)
