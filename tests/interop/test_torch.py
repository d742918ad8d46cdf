"""Feed-forward nets of PyTorch, freshly exported by both exporters with several opsets."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import net_checks
from torch_nets import Net, bits, classes, floats, targets


class Siamese(nn.Module):
    """One tower used twice: its weights get gradients from both uses."""

    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
        self.out = nn.Linear(3, 1)

    def forward(self, a, b):
        return torch.sigmoid(self.out(torch.abs(self.tower(a) - self.tower(b))))


class MeanEmbedding(nn.Module):
    """A text classifier that leaves token 0 out of the mean."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(11, 6)
        self.out = nn.Linear(6, 4)

    def forward(self, tokens):
        keep = (tokens != 0).unsqueeze(-1).to(torch.float32)
        # A sum in the type of the embedding, so that the module also works in double.
        keep = keep.to(self.emb.weight.dtype)
        mean = (self.emb(tokens) * keep).sum(1) / keep.sum(1).clamp(min=1.0)
        return self.out(mean)


class Branches(nn.Module):
    """Split, activations of all kinds, Concat, a residual connection and a clamp."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 8)
        self.b = nn.Linear(8, 8)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        p, q, r, s = torch.split(self.a(x), 2, dim=1)
        h = torch.cat([F.leaky_relu(p), F.elu(q), F.softplus(r), torch.clamp(s, -0.5, 0.5)], dim=1)
        h = h + F.gelu(self.b(h))
        return self.out(torch.where(h > 0, torch.sin(h), torch.cos(h)))


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(5, 9)
        self.norm = nn.LayerNorm(9)
        self.out = nn.Linear(9, 4)

    def forward(self, x):
        return F.log_softmax(self.out(torch.tanh(self.norm(self.a(x)))), dim=-1)


class Statistics(nn.Module):
    """Reductions over several axes, powers and logarithms."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 6)
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, x):
        h = self.a(x)
        spread = ((h - h.mean(dim=1, keepdim=True)) ** 2).mean(dim=1, keepdim=True)
        h = h / torch.sqrt(spread + 2**-10) * self.scale
        return torch.log(torch.exp(h).sum(dim=(1, 2))) + h.amax(dim=(1, 2)) + h.norm(dim=(1, 2))


def mlp(*sizes):
    def layers():
        parts = []
        for a, b in zip(sizes, sizes[1:]):
            parts += [nn.Linear(a, b), nn.ReLU()]
        return nn.Sequential(*parts[:-1])

    return layers


def tokens(rng):
    return {"tokens": rng.integers(0, 11, (5, 7)).astype(np.int64)}


def pair(rng):
    return {k: rng.standard_normal((6, 5)).astype(np.float32) for k in ("a", "b")}


NETS = {
    "mlp": Net(mlp(7, 9, 3), floats(4, 7), targets(4, 3), "mse", dynamic={"x": {0: "n"}}),
    "deep": Net(mlp(3, 70, 40, 20, 5), floats(33, 3), classes(5, 33), "cross_entropy"),
    "rank3": Net(mlp(5, 8, 2), floats(3, 4, 5), targets(3, 4, 2), "sum_squared", rate=0.05),
    "logits": Net(mlp(6, 5, 1), floats(8, 6), bits(8, 1), "bce_with_logits"),
    "siamese": Net(Siamese, pair, bits(6, 1), "bce"),
    "embedding": Net(MeanEmbedding, tokens, classes(4, 5), "cross_entropy"),
    "branches": Net(Branches, floats(7, 6), targets(7, 2), "mse", dynamic={"x": {0: "n"}}),
    "normed": Net(Normed, floats(6, 5), classes(4, 6), "nll"),
    "statistics": Net(Statistics, floats(3, 5, 4), targets(3), "mse", rate=0.01),
}

OLD = {name: NETS[name] for name in ("mlp", "deep", "siamese", "embedding", "rank3")}


def cases():
    every = ["sgd", "adam", "momentum", "rmsprop", "nesterov", "adamw", "adagrad"]
    yield from net_checks.cases(NETS, [("dynamo", 20), ("legacy", 17)], every, True)
    yield from net_checks.cases(OLD, [("legacy", 9), ("legacy", 12), ("dynamo", 23)], every[:2])
