"""Architectures whose parameters lie in unusual places: name -> (module class, example inputs)."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def x(*shape):
    return (torch.randn(*shape),)


def ids(*shape, high=11):
    return (torch.randint(0, high, shape),)


class Function(nn.Module):
    """A module of the given parameters and submodules whose forward is a function."""

    def __init__(self, forward, buffers=(), **members):
        super().__init__()
        self.f = forward
        for name, value in dict(buffers).items():
            self.register_buffer(name, value)
        for name, value in members.items():
            setattr(self, name, nn.Parameter(value) if isinstance(value, torch.Tensor) else value)

    def forward(self, *inputs):
        return self.f(self, *inputs)


class Inside(nn.Module):
    """The module wrapped in another, behind a layer."""

    def __init__(self, inner, width):
        super().__init__()
        self.first, self.inner = nn.Linear(width, width), inner

    def forward(self, x):
        return self.inner(self.first(x))


P = torch.randn


def vit():
    def forward(m, image):
        patches = m.patch(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([m.cls.expand(patches.shape[0], -1, -1), patches], 1) + m.pos
        return m.head(m.blocks(tokens)[:, 0])

    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return Function(
        forward, patch=nn.Conv2d(3, 8, 4, 4), cls=P(1, 1, 8), pos=P(1, 5, 8),
        blocks=nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), head=nn.Linear(8, 3),
    )  # fmt: skip


def swin():
    index = torch.randint(0, 9, (4, 4))

    def forward(m, tokens):
        q, k, v = m.qkv(m.norm(tokens)).chunk(3, -1)
        bias = m.table[m.index.view(-1)].view(4, 4, 1).permute(2, 0, 1)
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(8) + bias, -1)
        return tokens + m.out(weights @ v)

    return Function(
        forward, buffers={"index": index}, table=P(9, 1), norm=nn.LayerNorm(8),
        qkv=nn.Linear(8, 24), out=nn.Linear(8, 8),
    )  # fmt: skip


def crf():
    def forward(m, words):
        scores = m.emit(m.embed(words))
        alpha = scores[:, 0] + m.start
        for t in range(1, 4):
            alpha = torch.logsumexp(alpha.unsqueeze(2) + m.transitions, 1) + scores[:, t]
        return torch.logsumexp(alpha + m.end, 1)

    return Function(
        forward, embed=nn.Embedding(11, 6), emit=nn.Linear(6, 5), transitions=P(5, 5), start=P(5), end=P(5)
    )


def state_space():
    def forward(m, u):
        step = F.softplus(m.step)
        decay = torch.exp(-torch.exp(m.log_a) * step)
        state, rows = torch.zeros_like(u[:, 0, :, None] * m.b), []
        for t in range(3):
            state = state * decay + u[:, t, :, None] * m.b
            rows.append((state * m.c).sum(-1) + m.d * u[:, t])
        return torch.stack(rows, 1)

    return Function(forward, log_a=P(4, 3), b=P(4, 3), c=P(4, 3), d=P(4), step=P(4, 1))


def vector_quantizer():
    def forward(m, z):
        distances = (z.unsqueeze(1) - m.codes).pow(2).sum(-1)
        soft = torch.softmax(-distances * m.sharp.exp(), -1)
        return m.decode(soft @ m.codes)

    return Function(forward, codes=P(7, 4), sharp=P(1), decode=nn.Linear(4, 4))


def capsule():
    def forward(m, u):
        votes = torch.einsum("bik,ijkl->bijl", u, m.w)
        s = votes.mean(1)
        n = s.pow(2).sum(-1, keepdim=True)
        return s * n / (1 + n) / torch.sqrt(n + 1e-6)

    return Function(forward, w=P(5, 3, 4, 6))


def cosine():
    def forward(m, v):
        return m.scale * F.normalize(m.body(v)) @ F.normalize(m.classes).t()

    return Function(forward, body=nn.Linear(6, 4), classes=P(3, 4), scale=torch.tensor(9.0))


def pooling():
    def forward(m, image):
        kept = m.conv(image).clamp(min=1e-4)
        return m.head(kept.pow(m.p).mean((2, 3)).pow(1 / m.p))

    return Function(forward, conv=nn.Conv2d(3, 4, 3), p=torch.full((1,), 3.1), head=nn.Linear(4, 2))


def memory():
    def forward(m, q):
        return q + torch.softmax(m.ask(q) @ m.keys.t(), -1) @ m.values

    return Function(forward, ask=nn.Linear(6, 5), keys=P(8, 5), values=P(8, 6))


def rotary():
    angle = torch.arange(4)[:, None] * torch.tensor([1.0, 0.1])

    def forward(m, v):
        a, b = m.q(v).chunk(2, -1)
        return torch.cat([a * m.cos - b * m.sin, a * m.sin + b * m.cos], -1)

    return Function(forward, buffers={"cos": angle.cos(), "sin": angle.sin()}, q=nn.Linear(4, 4))


def sinusoidal():
    table = torch.sin(torch.arange(4)[:, None] * torch.tensor([1.0, 0.3, 0.1, 0.03, 0.01]))
    return Function(
        lambda m, t: m.out(m.embed(t) + m.table), buffers={"table": table},
        embed=nn.Embedding(11, 5), out=nn.Linear(5, 2),
    )  # fmt: skip


def normalized_input():
    return Function(
        lambda m, v: m.body((v - m.mean) / m.std),
        buffers={"mean": P(5), "std": P(5).abs() + 0.5}, body=nn.Linear(5, 3),
    )  # fmt: skip


def gates():
    return Function(
        lambda m, v: v * torch.sigmoid(m.gate) + m.body(v) * (1 - torch.sigmoid(m.gate)),
        gate=P(5), body=nn.Linear(5, 5),
    )  # fmt: skip


def expert_mixture():
    def forward(m, v):
        share = torch.softmax(m.router(v), -1)
        hidden = torch.relu(torch.einsum("bi,eio->beo", v, m.w1) + m.b1)
        return torch.einsum("be,beo->bo", share, torch.einsum("bei,eio->beo", hidden, m.w2))

    return Function(forward, router=nn.Linear(5, 3), w1=P(3, 5, 6), b1=P(3, 6), w2=P(3, 6, 2))


def factor_machine():
    def forward(m, v):
        pairs = (v @ m.v).pow(2) - v.pow(2) @ m.v.pow(2)
        return m.w0 + v @ m.w + 0.5 * pairs.sum(1)

    return Function(forward, w0=torch.tensor(0.3), w=P(6), v=P(6, 3))


def two_towers():
    return Function(
        lambda m, a, b: (m.user(a) * m.item(b)).sum(-1) + m.ub(a).squeeze(-1) + m.ib(b).squeeze(-1) + m.all,
        user=nn.Embedding(7, 4), item=nn.Embedding(9, 4), ub=nn.Embedding(7, 1), ib=nn.Embedding(9, 1), all=P(1),
    )  # fmt: skip


def graph_net():
    adjacency = torch.softmax(P(4, 4), -1)
    return Function(
        lambda m, v: m.b(torch.relu(m.adjacency @ m.a(v))), buffers={"adjacency": adjacency},
        a=nn.Linear(5, 6), b=nn.Linear(6, 2),
    )  # fmt: skip


def spline():
    centres = torch.linspace(-1, 1, 5)
    return Function(
        lambda m, v: torch.einsum("bik,iko->bo", torch.exp(-(v.unsqueeze(-1) - m.centres).pow(2)), m.w),
        buffers={"centres": centres}, w=P(4, 5, 2),
    )  # fmt: skip


def hyper():
    return Function(
        lambda m, v: torch.bmm(m.make(m.latent.expand(v.shape[0], -1)).view(-1, 3, 5), v.unsqueeze(-1)).squeeze(-1),
        latent=P(1, 4), make=nn.Linear(4, 15),
    )  # fmt: skip


def attention_pool():
    return Function(
        lambda m, t: m.out(torch.softmax(m.k(t) @ m.query, 1).unsqueeze(1).matmul(t).squeeze(1)),
        k=nn.Linear(6, 4), query=P(4), out=nn.Linear(6, 2),
    )  # fmt: skip


def scaled_residual():
    return Function(
        lambda m, v: v + m.gamma * m.body(v), gamma=torch.full((5,), 0.1) + P(5) / 9, body=nn.Linear(5, 5)
    )


def affine():
    return Function(lambda m, v: v * m.scale + m.shift, scale=P(5), shift=P(5))


def temperature():
    return Function(lambda m, v: m.body(v) / m.t, t=torch.tensor(1.7), body=nn.Linear(5, 3))


def tied():
    embed = nn.Embedding(11, 6)
    return Function(lambda m, t: m.mid(m.embed(t)) @ m.embed.weight.t(), embed=embed, mid=nn.Linear(6, 6))


def weight_norm():
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 2))


def depthwise():
    return nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU6(), nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 2),
    )  # fmt: skip


def recurrent(kind, **options):
    return lambda: Function(
        lambda m, v: m.out(m.rnn(v)[0]), rnn=kind(4, 5, batch_first=True, **options),
        out=nn.Linear(5 * (2 if options.get("bidirectional") else 1), 2),
    )  # fmt: skip


def initial_state():
    return Function(
        lambda m, v: m.out(m.rnn(v, m.h0.expand(-1, v.shape[0], -1).contiguous())[0]),
        rnn=nn.GRU(4, 5, batch_first=True), h0=P(1, 1, 5), out=nn.Linear(5, 2),
    )  # fmt: skip


NETS = {
    "vit": (vit, x(2, 3, 8, 8)),
    "swin": (swin, x(2, 4, 8)),
    "crf": (crf, ids(2, 4)),
    "state_space": (state_space, x(2, 3, 4)),
    "vector_quantizer": (vector_quantizer, x(2, 4)),
    "capsule": (capsule, x(2, 5, 4)),
    "cosine": (cosine, x(2, 6)),
    "pooling": (pooling, x(2, 3, 6, 6)),
    "memory": (memory, x(2, 6)),
    "rotary": (rotary, x(2, 4, 4)),
    "sinusoidal": (sinusoidal, ids(2, 4)),
    "normalized_input": (normalized_input, x(2, 5)),
    "gates": (gates, x(2, 5)),
    "expert_mixture": (expert_mixture, x(2, 5)),
    "factor_machine": (factor_machine, x(2, 6)),
    "two_towers": (two_towers, ids(2, high=7) + ids(2, high=9)),
    "graph_net": (graph_net, x(4, 5)),
    "spline": (spline, x(2, 4)),
    "hyper": (hyper, x(2, 5)),
    "attention_pool": (attention_pool, x(2, 3, 6)),
    "scaled_residual": (scaled_residual, x(2, 5)),
    "affine": (affine, x(2, 5)),
    "temperature": (temperature, x(2, 5)),
    "tied": (tied, ids(2, 4)),
    "weight_norm": (weight_norm, x(2, 5)),
    "depthwise": (depthwise, x(2, 4, 6, 6)),
    "rnn": (recurrent(nn.RNN), x(2, 3, 4)),
    "rnn_relu": (recurrent(nn.RNN, nonlinearity="relu"), x(2, 3, 4)),
    "gru": (recurrent(nn.GRU), x(2, 3, 4)),
    "lstm": (recurrent(nn.LSTM), x(2, 3, 4)),
    "lstm2": (recurrent(nn.LSTM, num_layers=2), x(2, 3, 4)),
    "bilstm": (recurrent(nn.LSTM, bidirectional=True), x(2, 3, 4)),
    "initial_state": (initial_state, x(2, 3, 4)),
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2)), x(2, 5)),
    "no_bias": (lambda: nn.Sequential(nn.Linear(5, 6, bias=False), nn.Linear(6, 2)), x(2, 5)),
    "prelu": (lambda: nn.Sequential(nn.Linear(5, 6), nn.PReLU(6), nn.Linear(6, 2)), x(2, 5)),
    "prelu_one": (lambda: nn.Sequential(nn.Linear(5, 6), nn.PReLU(), nn.Linear(6, 2)), x(2, 5)),
    "bilinear": (lambda: Function(lambda m, a: m.bi(a, a), bi=nn.Bilinear(4, 4, 2)), x(2, 4)),
    "layer_norm": (lambda: nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6)), x(2, 5)),
    "group_norm": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)), x(2, 3, 6, 6)),
    "instance_norm": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True)), x(2, 3, 6, 6)
    ),
    "rms_norm": (lambda: nn.Sequential(nn.Linear(5, 6), nn.RMSNorm(6)), x(2, 5)),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.Conv1d(4, 2, 3)), x(2, 3, 9)),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(2, 3, 3), nn.ReLU()), x(2, 2, 5, 5, 5)),
    "transposed": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(3, 2, 3)), x(2, 2, 7, 7)
    ),
    "attention": (
        lambda: Function(lambda m, t: m.a(t, t, t)[0], a=nn.MultiheadAttention(8, 2, batch_first=True)),
        x(2, 4, 8),
    ),
    "decoder": (
        lambda: Function(
            lambda m, t: m.d(t, t), d=nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        ),
        x(2, 4, 8),
    ),
    "embedding": (lambda: nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 2)), ids(2, 3)),
    "wrapped_gate": (lambda: Inside(gates(), 5), x(2, 5)),
    "wrapped_cosine": (lambda: Inside(cosine(), 6), x(2, 6)),
    "wrapped_memory": (lambda: Inside(memory(), 6), x(2, 6)),
}  # fmt: skip
