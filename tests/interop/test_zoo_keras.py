"""Fresh files of tf2onnx: nets of Keras and functions of TensorFlow, in several opsets and batch sizes, as they
are and as ONNX Runtime's optimizer leaves them."""

import functools

import numpy as np

from support import expect_near, ort_optimize
from test_keras import keras
from zoo_keras import KERAS, TENSORFLOW

OPSETS = (13, 15, 18)


def values(shape, rng, batch):
    if isinstance(shape[-1], str):
        return rng.integers(0, int(shape[-1]), (batch, *shape[:-1])).astype(np.int32)
    return rng.standard_normal((batch, *shape)).astype(np.float32)


def listed(result):
    return [np.asarray(r) for r in (result if isinstance(result, (tuple, list)) else [result])]


def compare(tool, path, make, expected):
    """With and without ONNX Runtime's optimizer, for batches of two, five and one."""
    optimal = tool.path(".onnx")
    ort_optimize(path, optimal, "extended")
    for batch in (2, 5, 1):
        inputs = make(np.random.default_rng(batch), batch)
        wanted = expected(list(inputs.values()))
        for file in (path, optimal):
            ours = list(tool.run(file, inputs).values())
            assert len(ours) == len(wanted), f"{len(ours)} outputs, expected {len(wanted)}"
            for k, (a, b) in enumerate(zip(ours, wanted)):
                expect_near(f"output {k}, batch {batch}, {file.name}", a, b, 2e-5)


def check_keras(tool, name, opset):
    import tensorflow as tf
    import tf2onnx

    k, (shapes, function) = keras(), KERAS[name]
    k.utils.set_random_seed(3)
    kinds = ["int32" if isinstance(s[-1], str) else "float32" for s in shapes]
    sizes = [s[:-1] if isinstance(s[-1], str) else s for s in shapes]
    inputs = [k.Input(s, dtype=t, name=f"in{i}") for i, (s, t) in enumerate(zip(sizes, kinds))]
    model = k.Model(inputs, function(k, *inputs))
    rng = np.random.default_rng(3)
    for weight in model.weights:
        value = rng.standard_normal(weight.shape).astype(np.float32) * 0.4
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)

    names = [f"in{i}" for i in range(len(shapes))]
    signature = [tf.TensorSpec([None, *s], t, n) for s, t, n in zip(sizes, kinds, names)]
    graph = tf.function(lambda *given: model(list(given) if len(given) > 1 else given[0]), signature)
    path = tool.path(".onnx")
    tf2onnx.convert.from_function(graph, signature, opset=opset, output_path=str(path))
    compare(
        tool, path, lambda rng, batch: {n: values(s, rng, batch) for n, s in zip(names, shapes)},
        lambda given: listed(model(given if len(given) > 1 else given[0])),
    )  # fmt: skip


def check_tensorflow(tool, name, opset):
    keras()
    import tensorflow as tf
    import tf2onnx

    shape, function, _ = TENSORFLOW[name]
    rng = np.random.default_rng(3)
    stored = []

    def body(x):
        """The weights are made once, and are variables."""
        position = iter(range(100))

        def weight(*size):
            k = next(position)
            if k == len(stored):
                stored.append(tf.Variable(rng.standard_normal(size).astype(np.float32)))
            return stored[k]

        return function(tf, weight, x)

    body(tf.constant(values(shape, rng, 2)))
    signature = [tf.TensorSpec([None, *shape], tf.float32, "x")]
    path = tool.path(".onnx")
    tf2onnx.convert.from_function(tf.function(body, signature), signature, opset=opset, output_path=str(path))
    compare(
        tool, path, lambda rng, batch: {"x": values(shape, rng, batch)},
        lambda given: listed(body(tf.constant(given[0]))),
    )  # fmt: skip


def cases():
    for k, name in enumerate(KERAS):
        opset = OPSETS[k % len(OPSETS)]
        yield f"{name}_{opset}", functools.partial(check_keras, name=name, opset=opset)
    for name, (_, _, opsets) in TENSORFLOW.items():
        for opset in opsets:
            yield f"tf_{name}_{opset}", functools.partial(check_tensorflow, name=name, opset=opset)
