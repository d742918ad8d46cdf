"""The training step as a standard ONNX file: other runtimes run it with our numbers."""

import warnings

import numpy as np
import onnx

from support import expect_near, initializers

STEPS = 10


def emit(tool, model, options):
    """Writes and checks the step; returns its path, itself and the values its state starts from."""
    path = tool.path(".onnx")
    tool("grad", model, *options, "--emit", path)
    onnx.checker.check_model(str(path), full_check=True)
    step = onnx.load(str(path))
    assert all(o.domain in ("", "ai.onnx") for o in step.opset_import), "not standard ONNX"
    with np.load(path.with_suffix(".init.npz")) as arrays:
        return path, step, dict(arrays)


def follow(run, step, state, batches, targets):
    """Runs the step over the batches, every NAME::next fed back as NAME.

    Returns the losses and the last state.
    """
    outputs = [o.name for o in step.graph.output]
    wanted = {i.name for i in step.graph.input}
    losses = []
    for k in range(STEPS):
        feeds = {**state, **{name: np.asarray(b[k]) for name, b in batches.items()}}
        if targets is not None:
            feeds["target"] = targets[k]
        result = dict(zip(outputs, run(outputs, {n: feeds[n] for n in wanted})))
        losses.append(float(result.pop("loss")))
        state = {**state, **{name.removesuffix("::next"): v for name, v in result.items()}}
    return losses, state


def ort_session(path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def widened(arrays):
    return {
        n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()
    }  # fmt: skip


def first_steps(batches):
    return batches[np.arange(STEPS) % len(batches)]


def check(tool, model, batches, targets, options, emit_options, train_options, noise=None):
    """Ten steps of the emitted file against ten steps of `onnxrun train`, in both precisions.

    `batches` maps inputs to arrays whose first axis counts the batches, `targets` likewise.
    `noise` says for weights by name how far runs in float32 may lie apart: Adam makes whole steps
    of gradients that are rounding alone (the keys' bias in attention).
    """
    batches = {name: first_steps(b) for name, b in batches.items()}
    targets = None if targets is None else first_steps(targets)

    trained, ours = tool.train(model, batches, targets, *options, *train_options)
    path, step, state = emit(tool, model, [*options, *emit_options])
    losses, state = follow(ort_session(path).run, step, state, batches, targets)
    expect_near("ONNX Runtime's losses", losses, ours, 1e-4)
    for name, value in initializers(trained).items():
        if name in state and np.abs(state[name] - value).max(initial=0) > (noise or {}).get(name, 0):
            expect_near(f"{name} in ONNX Runtime", state[name], value, 1e-3)

    from onnx.reference import ReferenceEvaluator

    _, ours = tool.train(
        model, batches, targets, *options, *train_options, "--precision", "float64"
    )
    _, step, state = emit(tool, model, [*options, *emit_options, "--double"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        losses, _ = follow(
            ReferenceEvaluator(step).run, step, state, widened(batches),
            None if targets is None else widened({"target": targets})["target"],
        )  # fmt: skip
    expect_near("the reference evaluator's losses", losses, ours, 1e-8)
