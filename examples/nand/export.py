"""Writes nand.onnx: the float64 net 2-2-1 of a TensorFlow program, by tf2onnx. export.py [FOLDER]"""

import pathlib
import sys

import tensorflow as tf
import tf2onnx


class Net(tf.Module):
    def __init__(self):
        super().__init__()
        draw = lambda *shape: tf.random.uniform(shape, 0.0, 1.0, tf.float64)
        self.w1 = tf.Variable(draw(2, 2), name="w1")
        self.b1 = tf.Variable(draw(2), name="b1")
        self.w2 = tf.Variable(draw(2, 1), name="w2")
        self.b2 = tf.Variable(draw(1), name="b2")

    def __call__(self, x):
        hidden = tf.sigmoid(tf.add(tf.linalg.matmul(x, self.w1), self.b1))
        return tf.sigmoid(tf.add(tf.linalg.matmul(hidden, self.w2), self.b2))


def export(folder, seed=0):
    tf.random.set_seed(seed)
    net = Net()
    tf2onnx.convert.from_function(
        tf.function(net.__call__), [tf.TensorSpec([None, 2], tf.float64, name="x")],
        opset=17, output_path=str(pathlib.Path(folder) / "nand.onnx"),
    )  # fmt: skip
    return net


if __name__ == "__main__":
    export(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
