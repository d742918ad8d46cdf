"""Fresh files of tf2onnx: nets of Keras and functions of TensorFlow, in several opsets and batch sizes, as they
are and as ONNX Runtime's optimizer leaves them."""

import functools

import numpy as np
import onnx

from support import expect_near, ort_optimize
from test_keras import biases_of_lstms, keras
from zoo_keras import KERAS, TENSORFLOW

OPSETS = (13, 15, 18)
STEPS, RATE = 5, 0.02
# Whose files train otherwise, and why.
FOLDED = "tf2onnx folds batch norms into convolutions"
OTHER_PARAMETERS = {
    "resnet": FOLDED,
    "mobilenet": FOLDED,
    "densenet": FOLDED,
    "audio": "an LSTM's bias is two tensors in the file",
    "video": "TensorFlow has no MaxPooling3D in double",
}


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


def train(tool, path, names, batches, targets, frozen=()):
    """The losses of five steps in double."""
    output = onnx.load(str(path)).graph.output[0].name
    data = {n: np.stack([b[k] for b in batches]) for k, n in enumerate(names)}
    options = ["--loss", f"{output}=mse", "--lr", RATE, "--precision", "float64"]
    if frozen:
        options += ["--freeze", ",".join(frozen)]
    return tool.train(path, data, np.stack(targets), *options)[1]


def expected_losses(tf, function, variables, batches, targets):
    losses = []
    for batch, target in zip(batches, targets):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((listed_tensors(function(batch))[0] - target) ** 2)
        for variable, gradient in zip(variables, tape.gradient(loss, variables)):
            if gradient is not None:
                variable.assign_sub(RATE * tf.convert_to_tensor(gradient))
        losses.append(float(loss))
    return losses


def listed_tensors(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def check_training(tool, path, name, build, model, shapes, names):
    """Against the same model in double."""
    import tensorflow as tf

    k = keras()
    policy = k.config.dtype_policy()
    k.config.set_dtype_policy("float64")
    try:
        twin = build()
    finally:
        k.config.set_dtype_policy(policy)
    for ours, theirs in zip(twin.weights, model.weights):
        ours.assign(theirs.numpy())
    rng = np.random.default_rng(7)
    batches = [[values(s, rng, 4) for s in shapes] for _ in range(STEPS)]
    call = lambda given: twin(given if len(given) > 1 else given[0])
    targets = [rng.standard_normal(call(b).shape) for b in batches]
    variables = [w.value for w in twin.trainable_weights]
    wanted = expected_losses(tf, call, variables, batches, targets)
    targets = [t.astype(np.float32) for t in targets]
    expect_near("losses", train(tool, path, names, batches, targets, biases_of_lstms(path)), wanted, 1e-5)


def check_keras(tool, name, opset):
    import tensorflow as tf
    import tf2onnx

    k, (shapes, function) = keras(), KERAS[name]
    k.utils.set_random_seed(3)
    kinds = ["int32" if isinstance(s[-1], str) else "float32" for s in shapes]
    sizes = [s[:-1] if isinstance(s[-1], str) else s for s in shapes]

    def build():
        inputs = [k.Input(s, dtype=t, name=f"in{i}") for i, (s, t) in enumerate(zip(sizes, kinds))]
        return k.Model(inputs, function(k, *inputs))

    model = build()
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
    if name not in OTHER_PARAMETERS:
        check_training(tool, path, name, build, model, shapes, names)


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
