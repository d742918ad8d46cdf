"""Writes the models and the data of this folder: by Keras itself, or by tf2onnx. export.py [FOLDER]"""

import contextlib
import io
import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras.layers import Dense, Layer, Softmax, concatenate


class NewModel(keras.Model):
    """Dense 64-10-5, the first and the last concatenated, sigmoid, softmax."""

    def __init__(self):
        super().__init__()
        self.dense_1 = Dense(64, "relu")
        self.dense_2 = Dense(10)
        self.dense_3 = Dense(5)
        self.softmax = Softmax()

    def call(self, inputs):
        x = self.dense_1(inputs)
        y2 = self.dense_3(self.dense_2(x))
        return self.softmax(tf.nn.sigmoid(concatenate([x, y2])))


class LinearMap(Layer):
    def __init__(self, input_dim, units):
        super().__init__()
        self.w = self.add_weight(shape=(input_dim, units), initializer="random_normal")

    def call(self, inputs):
        return tf.matmul(inputs, self.w)


class MlpLayer(Layer):
    ACTIVATIONS = {"relu": tf.nn.relu, "sigmoid": tf.nn.sigmoid, "softmax": tf.nn.softmax}

    def __init__(self, units, activations):
        super().__init__()
        self.units, self.activations, self.kernels = units, activations, []

    def build(self, shape):
        width = shape[1]
        for i, units in enumerate(self.units):
            self.kernels.append(
                self.add_weight(name=f"weights-{i}", shape=(width, units), initializer="uniform")
            )
            width = units

    def call(self, x):
        for kernel, activation in zip(self.kernels, self.activations):
            x = self.ACTIVATIONS[activation](tf.matmul(x, kernel))
        return x


class MyLayer(Layer):
    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units), initializer="random_normal")
        self.b = self.add_weight(shape=(self.units,), initializer="random_normal")

    def call(self, inputs):
        return tf.matmul(inputs, self.w) + self.b


class MyModel(keras.Model):
    def __init__(self, units_1, units_2):
        super().__init__()
        self.layer_1, self.layer_2 = MyLayer(units_1), MyLayer(units_2)
        self.softmax = Softmax()

    def call(self, inputs):
        return self.softmax(self.layer_2(tf.nn.relu(self.layer_1(inputs))))


class Regression(tf.Module):
    """m x + b."""

    def __init__(self):
        super().__init__()
        self.m, self.b = tf.Variable(0.5, name="m"), tf.Variable(-0.5, name="b")

    def __call__(self, x):
        return self.m * x + self.b


def square(x):
    return x**2


def sine(x):
    y = tf.reduce_sum(x**2)
    return y, tf.math.sin(y)


# Name: the model and the length of its input.
MODELS = {
    "new_model": (NewModel, 20),
    "linear_map": (lambda: keras.Sequential([LinearMap(3, 2)]), 3),
    "mlp_layer": (lambda: keras.Sequential([MlpLayer([4, 2], ["relu", "softmax"])]), 10),
    "my_model": (lambda: MyModel(32, 10), 100),
}
SPEC = tf.TensorSpec([None], tf.float32, name="x")
FUNCTIONS = {
    "linear_regression": lambda: (Regression().__call__, SPEC),
    "square": lambda: (square, tf.TensorSpec([], tf.float32, name="x")),
    "sine": lambda: (sine, SPEC),
}


def make(name):
    build, width = MODELS[name]
    keras.utils.set_random_seed(0)
    model = build()
    model(tf.ones((1, width)))
    # Biases of zero would be left out by the exporter.
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(rng.normal(0, 0.05, weight.shape))
    return model


def export(name, folder, exporter="keras"):
    """Writes NAME.onnx and returns the model."""
    path = str(pathlib.Path(folder) / f"{name}.onnx")
    if name in FUNCTIONS:
        function, spec = FUNCTIONS[name]()
        tf2onnx.convert.from_function(tf.function(function), [spec], opset=17, output_path=path)
        return function
    model, width = make(name), MODELS[name][1]
    spec = tf.TensorSpec([None, width], tf.float32, name="x")
    with contextlib.redirect_stdout(io.StringIO()):
        if exporter == "keras":
            model.export(path, format="onnx", verbose=False, input_signature=[spec])
        else:
            call = tf.function(lambda x: model(x))
            tf2onnx.convert.from_function(call, [spec], opset=17, output_path=path)
    return model


def line(samples=64, seed=0):
    """Points near 3 x + 2."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, samples).astype(np.float32)
    return {"x": x, "y": (3 * x + 2 + rng.normal(0, 0.1, samples)).astype(np.float32)}


def blobs(samples=600, seed=0):
    """Ten classes of 100 features of very different scales, for standardising to matter."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (10, 100))
    scale, shift = 10 ** rng.uniform(-1, 1, 100), rng.normal(0, 5, 100)
    y = rng.integers(0, 10, samples)
    x = (centres[y] + rng.normal(0, 3, (samples, 100))) * scale + shift
    return {"x": np.round(x, 2).astype(np.float32), "y": y}


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    for model_name in [*MODELS, *FUNCTIONS]:
        export(model_name, target)
    np.savez(pathlib.Path(target) / "line.npz", **line())
    np.savez_compressed(pathlib.Path(target) / "blobs.npz", **blobs())
