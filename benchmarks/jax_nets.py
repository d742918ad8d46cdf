"""The modules of nets.py as JAX functions of their parameters, and their training steps, written as
users of JAX write them: layers over a whole batch, recurrent ones by scan, images with their
channels last, one jit a step."""

import functools
import os

# One thread, as all peers; read when JAX is first used.
os.environ.setdefault("NPROC", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import jax
import nets
from jax import lax
from jax import numpy as jnp
from torch import nn


def tree(net):
    """The parameters as nested dicts by the parts of their names."""
    found = {}
    for name, value in net.named_parameters():
        *path, last = name.split(".")
        place = found
        for part in path:
            place = place.setdefault(part, {})
        place[last] = jnp.array(value.detach().numpy())
    return found


@functools.singledispatch
def apply(module, p, x):
    raise NotImplementedError(f"{type(module).__name__} is not written in JAX")


def plain(kind, function):
    apply.register(kind, lambda module, p, x: function(x))


plain(nn.ReLU, jax.nn.relu)
plain(nn.Sigmoid, jax.nn.sigmoid)
plain(nn.LogSoftmax, jax.nn.log_softmax)
plain(nn.Identity, lambda x: x)


@apply.register
def _(module: nn.Sequential, p, x):
    for name, layer in module.named_children():
        x = apply(layer, p.get(name), x)
    return x


@apply.register
def _(module: nn.Linear, p, x):
    return x @ p["weight"].T + p["bias"]


@apply.register
def _(module: nn.Conv2d, p, x):
    padding, axes = [(n, n) for n in module.padding], ("NHWC", "OIHW", "NHWC")
    y = lax.conv_general_dilated(x, p["weight"], module.stride, padding, dimension_numbers=axes)
    return y + p["bias"] if "bias" in p else y


@apply.register
def _(module: nn.MaxPool2d, p, x):
    # By windows, the gradient is several times slower.
    n, height, width, channels = x.shape
    size = module.kernel_size
    rows, columns = height // size, width // size
    whole = x[:, : rows * size, : columns * size]
    return whole.reshape(n, rows, size, columns, size, channels).max((2, 4))


@apply.register
def _(module: nn.Flatten, p, x):
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


@apply.register
def _(module: nn.BatchNorm2d, p, x):
    """With the statistics of the batch; running ones are not kept."""
    mean = x.mean((0, 1, 2))
    variance = ((x - mean) ** 2).mean((0, 1, 2))
    return (x - mean) * (p["weight"] * lax.rsqrt(variance + module.eps)) + p["bias"]


@apply.register
def _(module: nn.LayerNorm, p, x):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + module.eps) * p["weight"] + p["bias"]


def rnn_cell(weights, bias, h, inputs):
    h = jnp.tanh(inputs + h @ weights + bias)
    return h, h


def gru_cell(weights, bias, h, inputs):
    input_parts = jnp.split(inputs, 3, -1)
    parts = jnp.split(h @ weights + bias, 3, -1)
    reset, update = (jax.nn.sigmoid(a + b) for a, b in zip(input_parts[:2], parts[:2], strict=True))
    new = jnp.tanh(input_parts[2] + reset * parts[2])
    h = new + update * (h - new)
    return h, h


def lstm_cell(weights, bias, state, inputs):
    h, c = state
    i, f, g, o = jnp.split(inputs + h @ weights + bias, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def recurrent(cell, start):
    def run(module, p, x):
        inputs = x @ p["weight_ih_l0"].T + p["bias_ih_l0"]
        step = functools.partial(cell, p["weight_hh_l0"].T, p["bias_hh_l0"])
        return lax.scan(step, start(jnp.zeros((x.shape[1], module.hidden_size))), inputs)

    return run


apply.register(nn.RNN, recurrent(rnn_cell, lambda zero: zero))
apply.register(nn.GRU, recurrent(gru_cell, lambda zero: zero))
apply.register(nn.LSTM, recurrent(lstm_cell, lambda zero: (zero, zero)))


@apply.register
def _(module: nets.LastStep, p, x):
    _, steps = apply(module.layer, p["layer"], x)
    return jax.nn.log_softmax(apply(module.head, p["head"], steps[-1]))


@apply.register
def _(module: nets.Residual, p, x):
    body, skip = apply(module.body, p["body"], x), apply(module.skip, p.get("skip"), x)
    return jax.nn.relu(body + skip)


@apply.register
def _(module: nets.ResNet8, p, x):
    features = apply(module.blocks, p["blocks"], apply(module.stem, p["stem"], x))
    return jax.nn.log_softmax(apply(module.head, p["head"], features.mean((1, 2))))


def attention(module, p, x):
    heads = (*x.shape[:2], module.num_heads, -1)
    joined = x @ p["in_proj_weight"].T + p["in_proj_bias"]
    q, k, v = (part.reshape(heads) for part in jnp.split(joined, 3, -1))
    y = jax.nn.dot_product_attention(q, k, v).reshape(x.shape)
    return apply(module.out_proj, p["out_proj"], y)


@apply.register
def _(module: nn.TransformerEncoderLayer, p, x):
    x = apply(module.norm1, p["norm1"], x + attention(module.self_attn, p["self_attn"], x))
    hidden = jax.nn.gelu(apply(module.linear1, p["linear1"], x), approximate=False)
    return apply(module.norm2, p["norm2"], x + apply(module.linear2, p["linear2"], hidden))


@apply.register
def _(module: nets.Transformer, p, x):
    x = p["words"]["weight"][x] + p["places"]
    for name, layer in module.encoder.layers.named_children():
        x = apply(layer, p["encoder"]["layers"][name], x)
    return jax.nn.log_softmax(apply(module.head, p["head"], x.mean(1)))


def nll(y, target):
    return -jnp.take_along_axis(y, target[:, None], 1).mean()


def bce(y, target):
    return -(target * jnp.log(y) + (1 - target) * jnp.log1p(-y)).mean()


def each(function, *trees):
    return jax.tree_util.tree_map(function, *trees)


def sgd(p, g, state):
    return each(lambda p, g: p - 0.01 * g, p, g), state


def momentum(p, g, velocity):
    velocity = each(lambda v, g: 0.9 * v + g, velocity, g)
    return each(lambda p, v: p - 0.01 * v, p, velocity), velocity


def adam(p, g, state):
    m, v, count = state
    count = count + 1
    m = each(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = each(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    rate, root = 1e-3 / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
    p = each(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8), p, m, v)
    return p, (m, v, count)


def first_state(optimizer, p):
    zeros = [each(jnp.zeros_like, p) for _ in range(2)]
    return {"sgd": (), "momentum": zeros[0], "adam": (*zeros, jnp.float32(0))}[optimizer]


def training_step(case, net, x, target):
    update, loss_of = globals()[case.optimizer], globals()[case.loss]
    images = x.movedim(1, -1) if x.dim() == 4 else x
    x, target = jnp.array(images.numpy()), jnp.array(target.numpy())
    p = tree(net)
    kept = [p, first_state(case.optimizer, p)]

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def compiled(p, state, x, target):
        loss, g = jax.value_and_grad(lambda p: loss_of(apply(net, p, x), target))(p)
        return *update(p, g, state), loss

    def step():
        *kept[:], loss = compiled(*kept, x, target)
        return loss.item()

    return step
