"""Files of onnxscript, in which control flow and functions are written out, against ONNX Runtime
(the reference evaluator runs no loop whose condition is left out).
"""

import functools

import numpy as np
import onnx
import onnx.inliner
from onnxscript import FLOAT, script
from onnxscript import opset15, opset18, opset20
from onnxscript.values import Opset

from support import expect_near, ort_run

own = Opset("zoo", 1)


@script(own, default_opset=opset18)
def normed(x: FLOAT[...], scale: FLOAT[...]) -> FLOAT[...]:
    mean = opset18.ReduceMean(x, opset18.Constant(value_ints=[-1]))
    away = x - mean
    spread = opset18.ReduceMean(away * away, opset18.Constant(value_ints=[-1]))
    return away / opset18.Sqrt(spread + 1e-5) * scale


@script(default_opset=opset18)
def perceptron(x: FLOAT["n", 4], w: FLOAT[4, 6], v: FLOAT[6]) -> FLOAT["n", 6]:
    hidden = opset18.MatMul(x, w)
    return hidden * opset18.Sigmoid(normed(hidden, v))


@script(default_opset=opset20)
def attention(x: FLOAT["n", 5, 4], w: FLOAT[4, 4]) -> FLOAT["n", 5, 4]:
    scores = opset20.MatMul(opset20.MatMul(x, w), opset20.Transpose(x, perm=[0, 2, 1]))
    return opset20.Gelu(opset20.MatMul(opset20.Softmax(scores / 2.0, axis=-1), x))


@script(default_opset=opset18)
def recurrent(x: FLOAT["n", 5, 4], w: FLOAT[4, 4]) -> FLOAT["n", 4]:
    state = opset18.ReduceSum(x, opset18.Constant(value_ints=[1]), keepdims=0) * 0.0
    for t in range(5):
        state = opset18.Tanh(opset18.Gather(x, t, axis=1) + opset18.MatMul(state, w))
    return state


@script(default_opset=opset18)
def converging(x: FLOAT["n", 4], w: FLOAT[4, 4]) -> FLOAT["n", 4]:
    """As many rounds as it takes, at most nine."""
    y = x
    large = opset18.ReduceMax(opset18.Abs(y), keepdims=0) > 0.1
    rounds = opset18.Constant(value_int=0)
    while large:
        y = opset18.Tanh(opset18.MatMul(y, w)) * 0.5
        rounds = rounds + 1
        large = opset18.And(opset18.ReduceMax(opset18.Abs(y), keepdims=0) > 0.1, rounds < 9)
    return y


@script(default_opset=opset18)
def branching(x: FLOAT["n", 4], w: FLOAT[4, 4]) -> FLOAT["n", 4]:
    total = opset18.ReduceSum(x, keepdims=0)
    if total > 0.0:
        y = opset18.MatMul(x, w)
    else:
        y = opset18.Relu(x) - x
    return y


@script(default_opset=opset15)
def chosen(x: FLOAT["n", 4], w: FLOAT[4, 4]) -> FLOAT["n", 4]:
    best, which = opset15.TopK(x, opset15.Constant(value_ints=[2]), axis=-1)
    share = opset15.Unsqueeze(opset15.Softmax(best, axis=-1), opset15.Constant(value_ints=[1]))
    rows = opset15.MatMul(share, opset15.Gather(w, which))
    return opset15.Squeeze(rows, opset15.Constant(value_ints=[1]))


def real(*shape):
    return lambda rng, n: rng.standard_normal([n if s == "n" else s for s in shape]).astype(np.float32)


SCRIPTS = {
    "perceptron": (perceptron, [real("n", 4), real(4, 6), real(6)]),
    "attention": (attention, [real("n", 5, 4), real(4, 4)]),
    "recurrent": (recurrent, [real("n", 5, 4), real(4, 4)]),
    "converging": (converging, [real("n", 4), real(4, 4)]),
    "branching": (branching, [real("n", 4), real(4, 4)]),
    "chosen": (chosen, [real("n", 4), real(4, 4)]),
}


def check(tool, name, inlined):
    function, makers = SCRIPTS[name]
    model = function.to_model_proto()
    model.ir_version = 10
    if inlined:
        model = onnx.inliner.inline_local_functions(model)
    path = tool.path(".onnx")
    onnx.save(model, str(path))
    names = [i.name for i in model.graph.input]
    for batch in (2, 5, 1):
        rng = np.random.default_rng(batch)
        inputs = {n: m(rng, batch) for n, m in zip(names, makers)}
        (wanted,) = ort_run(path, inputs).values()
        for level in (0, 2):
            (ours,) = tool.run(path, inputs, "--optimize", level).values()
            expect_near(f"output, batch {batch}, --optimize {level}", ours, wanted, 1e-5)


def cases():
    for name in SCRIPTS:
        yield name, functools.partial(check, name=name, inlined=False)
    yield "perceptron_inlined", functools.partial(check, name="perceptron", inlined=True)
