"""The training step as a standard ONNX file: other runtimes run it with our numbers."""

import warnings

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from support import expect_near, initializers
from test_torch import NETS as FEED_FORWARD
from test_torch_conv import NETS as CONVOLUTIONS
from test_torch_recurrent import NETS as RECURRENT
from torch_nets import OPTIMIZERS, export, learning_rate, make, stack, train_options, widened

STEPS = 10


def emit(tool, model, net, optimizer, *options):
    """Writes and checks the step; returns its path and the values its state starts from."""
    step = tool.path(".onnx")
    tool("grad", model, *train_options(net, optimizer), "--emit", step, *options)
    onnx.checker.check_model(str(step), full_check=True)
    message = onnx.load(str(step))
    assert all(o.domain in ("", "ai.onnx") for o in message.opset_import), "not standard ONNX"
    with np.load(step.with_suffix(".init.npz")) as arrays:
        return step, message, dict(arrays)


def follow(run, message, state, batches, target_batches, lr):
    """Runs the step over the batches, every `NAME::next` fed back as NAME; returns the losses."""
    outputs = [o.name for o in message.graph.output]
    wanted = {i.name for i in message.graph.input}
    losses = []
    for batch, target in zip(batches, target_batches):
        feeds = {**state, **batch, "target": target, "lr": lr}
        result = dict(zip(outputs, run(outputs, {k: feeds[k] for k in wanted})))
        losses.append(float(result.pop("loss")))
        state = {**state, **{name.removesuffix("::next"): v for name, v in result.items()}}
    return losses, state


def ort_session(step):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(step), options, providers=["CPUExecutionProvider"])


def check(tool, net, optimizer):
    model = tool.path(".onnx")
    export(net, make(net, seed=4), model, "legacy", 17)
    rng = np.random.default_rng(4)
    batches = [net.inputs(rng) for _ in range(STEPS)]
    target_batches = [net.target(rng) for _ in range(STEPS)]
    options = train_options(net, optimizer)
    rate = learning_rate(net, optimizer)

    trained, ours = tool.train(model, stack(batches), np.stack(target_batches), *options)
    step, message, state = emit(tool, model, net, optimizer)
    losses, state = follow(
        ort_session(step).run, message, state, batches, target_batches, np.float32(rate)
    )
    expect_near("ONNX Runtime's losses", losses, ours, 1e-4)
    for name, value in initializers(trained).items():
        if name in state:
            expect_near(f"{name} in ONNX Runtime", state[name], value, 1e-3)

    _, ours = tool.train(
        model, stack(batches), np.stack(target_batches), *options, "--precision", "float64"
    )
    step, message, state = emit(tool, model, net, optimizer, "--double")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        losses, _ = follow(
            ReferenceEvaluator(message).run, message, state,
            [{k: widened(v) for k, v in b.items()} for b in batches],
            [widened(t) for t in target_batches], np.float64(rate),
        )  # fmt: skip
    expect_near("the reference evaluator's losses", losses, ours, 1e-8)


def cases():
    nets = {**FEED_FORWARD, **CONVOLUTIONS, **RECURRENT}
    optimizers = list(OPTIMIZERS)
    for k, (name, net) in enumerate(nets.items()):
        optimizer = optimizers[k % len(optimizers)]
        yield f"{name}_{optimizer}", lambda tool, n=net, o=optimizer: check(tool, n, o)
