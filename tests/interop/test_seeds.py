"""The systems of examples/nand, binary_addition and keras beside TensorFlow, Keras and numpy.

Those of PyTorch are in test_seeds_torch.py. What is measured is printed.
"""

import csv
import sys

import numpy as np

from examples import EXAMPLES, expect_stored, exporter, note
from support import distance, expect_near, initializers

sys.path.append(str(EXAMPLES))
from to_keras import load_trained


def rows_of(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def column(path, name="loss"):
    return np.array([float(row[name]) for row in rows_of(path)])


# --- NAND --------------------------------------------------------------------------------------

CASES = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
ANSWERS = np.array([1.0, 0.0, 1.0, 1.0])


def descend(net, target, epochs):
    """The program's loop: the loss before every step and after the last."""
    import tensorflow as tf

    variables = [net.w1, net.b1, net.w2, net.b2]
    x, y = tf.constant(CASES), tf.constant(target)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(tf.math.subtract(y, net(x))))
        return loss, tape.gradient(loss, variables)

    losses = []
    for _ in range(epochs):
        loss, found = gradients()
        losses.append(float(loss))
        for variable, gradient in zip(variables, found):
            variable.assign_sub(0.1 * gradient)
    return [*losses, float(gradients()[0])]


def nand(tool, target, options):
    net = exporter("nand").export(tool.directory)
    model = tool.directory / "nand.onnx"
    expect_stored("nand", "nand.onnx", model)
    log, events, trained = tool.path(".csv"), tool.path(""), tool.path(".onnx")
    tool(
        "train", model, "--data", tool.save({"x": CASES, "target": ANSWERS}), "--loss", "sum_squared",
        "--lr", 0.1, "--epochs", 1001, "--no-shuffle", "--log", log, "--tensorboard", events, "-q",
        "-o", trained, *options,
    )  # fmt: skip
    ours, theirs = column(log), descend(net, target, 1000)
    expect_near("losses", ours, theirs, 1e-10)
    note(f"1,000 losses, {ours[1]:.6f} to {ours[-1]:.6f}: TensorFlow's to {distance(ours, theirs):.1e}")
    expect_near("TensorBoard's loss", scalars(events, "loss"), ours, 1e-6)
    return ours, tool.run(trained, {"x": CASES})["Identity:0"].ravel()


def scalars(folder, tag):
    import tensorflow as tf

    (path,) = folder.glob("events.out.tfevents.*")
    events = tf.compat.v1.train.summary_iterator(str(path))
    return [v.simple_value for e in events for v in e.summary.value if v.tag == tag]


def test_nand_as_meant(tool):
    losses, answers = nand(tool, ANSWERS[:, None], [])
    assert losses[-1] < 0.2 and np.array_equal(answers > 0.5, ANSWERS > 0.5), answers
    note(f"answers {np.round(answers, 3)}")


def test_nand_as_the_program_does_it(tool):
    losses, answers = nand(tool, ANSWERS, ["--allow-broadcast"])
    assert 3 < losses[-1] < 3.001 and np.all(np.abs(answers - 0.75) < 0.02), (losses[-1], answers)


# --- Binary addition ---------------------------------------------------------------------------


def by_hand(x, y, wi, wh, wo):
    """The program's backward pass, done right: the future is stored, and derivatives are of what a
    sigmoid was taken of."""
    states, outputs = [np.zeros((len(wi), 1))], []
    sigmoid = lambda a: 1 / (1 + np.exp(-a))
    for step in x:
        states.append(sigmoid(wi @ step[:, None] + wh @ states[-1]))
        outputs.append(sigmoid(wo @ states[-1]))
    wi_update, wh_update, wo_update = np.zeros_like(wi), np.zeros_like(wh), np.zeros_like(wo)
    future_ht_delta = np.zeros_like(states[0])
    for pos in reversed(range(len(x))):
        h_t, h_t_prev, y_pred = states[pos + 1], states[pos], outputs[pos]
        o_delta = 2 * (y_pred - y[pos]) * y_pred * (1 - y_pred)
        h_delta = (wo.T @ o_delta + future_ht_delta) * h_t * (1 - h_t)
        wo_update += np.outer(o_delta, h_t)
        wh_update += np.outer(h_delta, h_t_prev)
        wi_update += np.outer(h_delta, x[pos])
        future_ht_delta = wh.T @ h_delta
    return {"wi": wi_update[None], "wh": wh_update[None], "wo": wo_update.T}


def test_addition_gradient(tool):
    adder = exporter("binary_addition")
    weights = adder.export(tool.directory)
    expect_stored("binary_addition", "adder.onnx", tool.directory / "adder.onnx")
    wi, wh, wo = (weights[n].astype(np.float64) for n in ("wi", "wh", "wo"))
    worst = 0.0
    for a, b in [(89, 79), (255, 0), (27, 100), (0, 0)]:
        sums = adder.sums(np.array([a]), np.array([b]), 8)
        wanted = by_hand(sums["x"][:, 0].astype(float), sums["y"][:, 0].astype(float), wi[0], wh[0], wo.T)
        target = tool.path(".npy")
        np.save(target, sums["y"].astype(np.float64))
        ours = tool.gradients(
            tool.directory / "adder.onnx", {"x": sums["x"].astype(np.float64)}, "--loss", "sum_squared",
            "--target", target, "--double",
        )  # fmt: skip
        for name, value in wanted.items():
            worst = max(worst, distance(ours[name], value))
            expect_near(f"gradient of {name} at {a} + {b}", ours[name], value, 1e-12)
    note(f"gradients are those of the formulas done right to {worst:.1e}")


def wrong_sums(tool, model, sums):
    """How many sums have a wrong bit."""
    answers = tool.run(model, {"x": sums["x"].astype(np.float32)})["y"]
    return int(np.any((answers > 0.5) != (sums["y"] > 0.5), axis=(0, 2)).sum())


def test_addition_from_five_seeds(tool):
    adder = exporter("binary_addition")
    adder.write_data(tool.directory)
    pairs = dict(np.load(tool.directory / "pairs.npz"))
    large = dict(np.load(tool.directory / "pairs32.npz"))
    assert pairs["x"].shape[1] == 32896
    for seed in range(5):
        adder.export(tool.directory, seed)
        trained = tool.path(".onnx")
        tool(
            "train", tool.directory / "adder.onnx", "--data", tool.directory / "pairs.npz",
            "--batch-axis", "x=1", "--batch-axis", "target=1", "--loss", "sum_squared", "--optimizer",
            "adam", "--lr", 0.01, "--batch-size", 1, "--seed", seed, "-q", "-o", trained,
        )  # fmt: skip
        wrong = wrong_sums(tool, trained, pairs), wrong_sums(tool, trained, large)
        note(f"seed {seed}: of 32,896 sums of 8 bits {wrong[0]} wrong, of 1,000 of 32 bits {wrong[1]}")
        assert wrong == (0, 0)


# --- Keras -------------------------------------------------------------------------------------


def fresh(tool, name, by="keras"):
    model = exporter("keras").export(name, tool.directory, by)
    if by == "keras":
        expect_stored("keras", f"{name}.onnx", tool.directory / f"{name}.onnx")
    return model, tool.directory / f"{name}.onnx"


def keras_model(tool, name, by):
    """Outputs, and 30 steps of SGD with momentum, as Keras's own."""
    import keras

    model, path = fresh(tool, name, by)
    width = exporter("keras").MODELS[name][1]
    rng = np.random.default_rng(3)
    x = rng.normal(size=(30, 16, width)).astype(np.float32)
    y = rng.normal(size=(30, 16, model(x[0]).shape[1])).astype(np.float32)
    (ours,) = tool.run(path, {"x": x[0]}).values()
    expect_near("output", ours, model(x[0]).numpy(), 1e-5)

    loss = keras.losses.MeanSquaredError()
    model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9), loss=loss)
    theirs = []
    for batch, target in zip(x, y):
        theirs.append(float(loss(target, model(batch))))
        model.train_on_batch(batch, target)
    trained, ours = tool.train(
        path, {"x": x}, y, "--loss", "mse", "--optimizer", "keras:momentum", "--lr", 0.05, "--momentum", 0.9
    )
    expect_near("losses", ours, theirs, 1e-5)
    (after,) = tool.run(trained, {"x": x[0]}).values()
    expect_near("output of the trained file", after, model(x[0]).numpy(), 1e-4)
    fresh_model = exporter("keras").make(name)
    load_trained(fresh_model, path, trained)
    expect_near("output of Keras with the trained weights", fresh_model(x[0]).numpy(), after, 1e-5)
    note(f"30 losses are Keras's to {distance(ours, theirs):.1e}")


def test_keras_gradients(tool):
    """x^2 at 2, and sin(sum(x^2)) through both outputs, as the tape has them."""
    import tensorflow as tf

    _, square = fresh(tool, "square")
    found = tool.gradients(square, {"x": np.float32(2)}, "--wrt", "x")["x"]
    assert found == 4
    _, sine = fresh(tool, "sine")
    x = tf.constant([0.0, 1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, z = exporter("keras").sine(x)
    dz_dy, dz_dx = tape.gradient(z, [y, x])
    ours = tool.gradients(sine, {"x": x.numpy()}, "--of", "Identity_1:0", "--wrt", "x")["x"]
    expect_near("dz/dx", ours, dz_dx.numpy(), 1e-6)
    behind = tool.path(".onnx")
    tool("convert", sine, "--extract-inputs", "Identity:0", "--extract-outputs", "Identity_1:0", "-o", behind)
    slope = tool.gradients(behind, {"Identity:0": y.numpy()}, "--wrt", "Identity:0")["Identity:0"]
    expect_near("dz/dy", slope, dz_dy.numpy(), 1e-6)
    note(f"d(x^2)/dx at 2 is {found:g}; dz/dx {ours}, dz/dy {slope:.6f}")


def test_keras_linear_regression(tool):
    """25 steps at 0.05: the losses that the loop prints."""
    import tensorflow as tf

    script = exporter("keras")
    _, path = fresh(tool, "linear_regression")
    line, net = script.line(), script.Regression()
    theirs = []
    for _ in range(25):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(line["y"] - net(line["x"])))
        gradients = tape.gradient(loss, [net.m, net.b])
        net.m.assign_sub(0.05 * gradients[0])
        net.b.assign_sub(0.05 * gradients[1])
        theirs.append(float(loss))
    log, trained = tool.path(".csv"), tool.path(".onnx")
    tool(
        "train", path, "--data", tool.save(line), "--loss", "mse", "--lr", 0.05, "--epochs", 25,
        "--batch-size", 64, "--no-shuffle", "--log", log, "-q", "-o", trained,
    )  # fmt: skip
    ours = column(log)
    expect_near("losses", ours, theirs, 1e-6)
    found = sorted(float(v) for v in initializers(trained).values())
    expect_near("m and b", found, sorted([float(net.m), float(net.b)]), 1e-5)
    note(f"step 0 loss {ours[0]:.6f}, step 24 loss {ours[24]:.6f}: TensorFlow's to {distance(ours, theirs):.1e}")


def test_keras_good_practice(tool):
    """Standardised as scikit-learn does, metrics as Keras's accumulators have them, and the early
    stopping of Keras, with the best weights restored."""
    import keras
    from sklearn.preprocessing import StandardScaler

    script = exporter("keras")
    model, path = fresh(tool, "my_model")
    blobs = script.blobs()
    train, val = slice(0, 416), slice(416, 512)
    scaler = StandardScaler().fit(blobs["x"][train].astype(np.float64))
    x = scaler.transform(blobs["x"].astype(np.float64)).astype(np.float32)
    log, trained = tool.path(".csv"), tool.path(".onnx")
    raw = {k: tool.save({"x": blobs["x"][s], "target": blobs["y"][s]}) for k, s in (("t", train), ("v", val))}
    tool(
        "train", path, "--data", raw["t"], "--val-data", raw["v"], "--standardize", "x", "--loss",
        "nll_probs", "--optimizer", "keras:momentum", "--lr", 0.05, "--momentum", 0.9, "--metrics",
        "accuracy", "--epochs", 40, "--batch-size", 32, "--no-shuffle", "--early-stop", "val_loss",
        "--patience", 5, "--log", log, "-q", "-o", trained,
    )  # fmt: skip
    standardized = dict(np.load(trained.with_suffix(".standardize.npz")))
    model.compile(
        optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"],
    )  # fmt: skip
    stop = keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)
    history = model.fit(
        x[train], blobs["y"][train], 32, 40, shuffle=False, verbose=0, callbacks=[stop],
        validation_data=(x[val], blobs["y"][val]),
    ).history  # fmt: skip
    assert len(rows_of(log)) == len(history["loss"]) < 40, "it stopped in another epoch"
    for name, theirs in history.items():
        expect_near(name, column(log, name), theirs, 1e-3)
    (ours,) = tool.run(trained, {"x": x[val]}).values()
    expect_near("the best epoch's answers", ours, model.predict(x[val], verbose=0), 1e-3)
    mean = next(v for k, v in standardized.items() if "mean" in k)
    expect_near("means", mean, scaler.mean_, 1e-5)
    note(
        f"stopped after epoch {len(history['loss'])} as Keras; val_loss {min(history['val_loss']):.4f}, "
        f"ours {column(log, 'val_loss').min():.4f}"
    )


def cases():
    for name in ("new_model", "linear_map", "mlp_layer", "my_model"):
        for by in ("keras", "tf2onnx"):
            yield f"keras_{name}_{by}", lambda tool, n=name, b=by: keras_model(tool, n, b)
