"""Keras models on TensorFlow, exported through tf2onnx."""

import contextlib
import io
import logging
import os

import numpy as np

from support import expect_near, ort_run

STEPS = 6


def keras():
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


def mlp(k):
    return k.Sequential(
        [
            k.Input((7,)),
            k.layers.Dense(9, activation="relu"),
            k.layers.Dense(6, activation="tanh"),
            k.layers.Dense(3, activation="softmax"),
        ]
    )


def cnn(k):
    return k.Sequential(
        [
            k.Input((12, 10, 2)),
            k.layers.Conv2D(4, 3, activation="relu", padding="same", strides=2),
            k.layers.MaxPooling2D(2),
            k.layers.Flatten(),
            k.layers.Dense(3, activation="softmax"),
        ]
    )


def lstm(k):
    return k.Sequential([k.Input((5, 4)), k.layers.LSTM(6), k.layers.Dense(3, activation="softmax")])


def gru(k):
    return k.Sequential([k.Input((5, 4)), k.layers.GRU(6), k.layers.Dense(3, activation="softmax")])


def check(tool, build, train):
    """Outputs are Keras', and where the file kept the parameters so are the losses of a training."""
    k = keras()
    k.utils.set_random_seed(5)
    model = build(k)
    rng = np.random.default_rng(5)
    for weight in model.weights:  # fresh biases are zeros, which the exporter leaves out
        weight.assign(rng.standard_normal(weight.shape).astype(np.float32) * 0.4)
    shape = (4, *model.input_shape[1:])
    x = rng.standard_normal((STEPS, *shape)).astype(np.float32)
    y = rng.integers(0, 3, (STEPS, 4))
    model(x[0])  # the exporter wants a model that was called
    path = tool.path(".onnx")
    with contextlib.redirect_stdout(io.StringIO()):
        model.export(str(path), format="onnx", verbose=False)

    import onnx

    name = onnx.load(str(path)).graph.input[0].name
    (_, ours), *_ = tool.run(path, {name: x[0]}).items()
    expect_near("output", ours, model(x[0]).numpy(), 1e-4)
    if not train:
        return

    model.compile(
        optimizer=k.optimizers.SGD(learning_rate=0.1), loss="sparse_categorical_crossentropy"
    )
    loss = k.losses.SparseCategoricalCrossentropy()
    wanted = []
    for batch, labels in zip(x, y):
        wanted.append(float(loss(labels, model(batch, training=True))))
        model.train_on_batch(batch, labels)
    trained, losses = tool.train(
        path, {name: x}, y, "--loss", "nll_probs", "--optimizer", "sgd", "--lr", 0.1
    )
    expect_near("losses", losses, wanted, 1e-4)
    (output, ours), *_ = tool.run(trained, {name: x[0]}).items()
    expect_near("output of the trained file", ours, model(x[0]).numpy(), 1e-3)
    expect_near("ONNX Runtime's output", ort_run(trained, {name: x[0]})[output], ours, 1e-4)


def cases():
    yield "mlp", lambda tool: check(tool, mlp, train=True)
    yield "cnn", lambda tool: check(tool, cnn, train=True)
    # The file has two biases (LSTM) or carries weights through a Loop, where Keras has one.
    yield "lstm_runs", lambda tool: check(tool, lstm, train=False)
    yield "gru_runs", lambda tool: check(tool, gru, train=False)
