"""The zoo's nets of graphs, points, experts and tables."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import parameter_nets
from zoo_net import LEGACY, Arch, Function, ids, real, several

NODES = 5


def edges(rng, n):
    return {"edges": rng.integers(0, NODES, (2, 8)).astype(np.int64)}


def gcn():
    """Messages are summed at their targets and divided by how many came."""

    def layer(m, x, edges):
        source, target = edges[0], edges[1]
        messages = m.line(x)[source]
        zero = torch.zeros_like(x[:, :1])
        count = zero.index_add(0, target, torch.ones_like(messages[:, :1]))
        total = torch.zeros_like(messages[:1]).expand(x.shape[0], -1).index_add(0, target, messages)
        return total / (count + 1)

    def forward(m, x, edges):
        return m.b(torch.relu(m.a(x, edges)), edges)

    return Function(
        forward, a=Function(layer, line=nn.Linear(4, 6)), b=Function(layer, line=nn.Linear(6, 3)),
    )  # fmt: skip


def gat():
    """Attention over the edges that end at a node: a softmax by scattering."""

    def forward(m, x, edges):
        source, target = edges[0], edges[1]
        h = m.line(x)
        score = F.leaky_relu((h[source] * m.a).sum(-1) + (h[target] * m.b).sum(-1), 0.2)
        high = torch.full_like(x[:, 0], -1e4).scatter_reduce(0, target, score.detach(), "amax")
        e = torch.exp(score - high[target])
        total = torch.zeros_like(x[:, 0]).scatter_add(0, target, e)
        share = (e / (total[target] + 1e-9)).unsqueeze(-1)
        where = target.unsqueeze(-1).expand(-1, h.shape[1])
        return torch.zeros_like(h).scatter_add(0, where, share * h[source])

    return Function(forward, line=nn.Linear(4, 5), a=torch.randn(5), b=torch.randn(5))


def messages():
    """Edge features, the highest message wins, a GRU cell updates."""

    def forward(m, x, edges, weight):
        source, target = edges[0], edges[1]
        y = m.message(torch.cat([x[source], x[target], weight], -1))
        where = target.unsqueeze(-1).expand(-1, y.shape[1])
        best = torch.zeros_like(x).scatter_reduce(0, where, y, "amax")
        return m.cell(best, x)

    return Function(
        forward, message=nn.Sequential(nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 4)), cell=nn.GRUCell(4, 4)
    )


def pointnet():
    """Nearest neighbours by TopK, their features gathered, the best kept."""

    def forward(m, x):
        away = ((x[:, :, None] - x[:, None]) ** 2).sum(-1)
        near = away.topk(3, dim=-1, largest=False).indices
        where = near.reshape(x.shape[0], -1, 1).expand(-1, -1, 3)
        around = torch.gather(x, 1, where).view(x.shape[0], 6, 3, 3)
        pairs = torch.cat([x[:, :, None].expand(-1, -1, 3, -1), around - x[:, :, None]], -1)
        return m.out(m.net(pairs).amax(2).amax(1))

    return Function(forward, net=nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)), out=nn.Linear(5, 4))


def experts():
    """The two best of four experts, by TopK, softmax over them and a scatter."""

    def forward(m, x):
        best, which = m.router(x).topk(2, dim=-1)
        share = torch.zeros_like(m.router(x)).scatter(-1, which, best.softmax(-1))
        hidden = F.silu(torch.einsum("ni,eio->neo", x, m.w1) + m.b1)
        return torch.einsum("ne,neo->no", share, torch.einsum("nei,eio->neo", hidden, m.w2))

    return Function(
        forward, router=nn.Linear(5, 4), w1=torch.randn(4, 5, 6), b1=torch.randn(4, 6), w2=torch.randn(4, 6, 3)
    )


def sparse_experts():
    """The weights of the chosen experts are gathered, and nothing else is computed."""

    def forward(m, x):
        best, which = m.router(x).softmax(-1).topk(2, dim=-1)
        hidden = torch.relu(torch.einsum("ni,nkio->nko", x, m.w1[which]))
        y = torch.einsum("nko,nkoj->nkj", hidden, m.w2[which])
        return (y * (best / best.sum(-1, keepdim=True)).unsqueeze(-1)).sum(1)

    return Function(forward, router=nn.Linear(5, 4), w1=torch.randn(4, 5, 6), w2=torch.randn(4, 6, 3))


def bags(mode):
    """DLRM: bags of embeddings, dense numbers, products of all pairs."""

    def forward(m, x, tokens):
        rows = torch.stack([m.dense(x), m.bag(tokens)], 1)
        pairs = rows @ rows.transpose(1, 2)
        return m.top(torch.cat([rows.flatten(1), pairs.flatten(1)], 1))

    return lambda: Function(
        forward, dense=nn.Sequential(nn.Linear(4, 6), nn.ReLU()), bag=nn.EmbeddingBag(11, 6, mode=mode),
        top=nn.Sequential(nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 1)),
    )  # fmt: skip


def deepfm():
    def forward(m, tokens):
        v = m.v(tokens)
        pairs = 0.5 * (v.sum(1).pow(2) - v.pow(2).sum(1)).sum(1, keepdim=True)
        return m.w(tokens).sum(1) + pairs + m.deep(v.flatten(1))

    return Function(
        forward, v=nn.Embedding(11, 4), w=nn.Embedding(11, 1),
        deep=nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 1)),
    )  # fmt: skip


def wide_and_deep():
    def forward(m, x, tokens):
        crossed = F.one_hot(tokens[:, 0] * 3 + tokens[:, 1] % 3, 33).to(x.dtype)
        return m.wide(crossed) + m.deep(torch.cat([x, m.words(tokens).flatten(1)], 1))

    return Function(
        forward, wide=nn.Linear(33, 1), words=nn.Embedding(11, 3),
        deep=nn.Sequential(nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 1)),
    )  # fmt: skip


def cross():
    """DCN: each layer multiplies the input with what came before."""

    def forward(m, x):
        y = x
        for line in m.lines:
            y = x * line(y) + y
        return m.out(y)

    return Function(forward, lines=nn.ModuleList([nn.Linear(5, 5) for _ in range(2)]), out=nn.Linear(5, 1))


def sasrec():
    """Candidates scored against a history read causally."""

    def forward(m, tokens, wanted):
        x = m.items(tokens) + m.places
        y = m.norm(m.blocks(x, mask=m.mask, is_causal=False))[:, -1]
        return (m.items(wanted) @ y.unsqueeze(-1)).squeeze(-1)

    layer = nn.TransformerEncoderLayer(8, 2, 8, 0.0, batch_first=True)
    return Function(
        forward, buffers={"mask": torch.full((5, 5), -10000.0).triu(1)}, items=nn.Embedding(11, 8),
        places=torch.randn(1, 5, 8), blocks=nn.TransformerEncoder(layer, 1, enable_nested_tensor=False),
        norm=nn.LayerNorm(8),
    )  # fmt: skip


def tabular():
    """TabNet-like steps: a mask of the columns from a softmax, what is left for the next."""

    def forward(m, x):
        left, total, state = torch.ones_like(x), 0, x
        for ask, body in zip(m.ask, m.bodies):
            mask = (ask(state) * left).softmax(-1)
            left = left * (1.3 - mask)
            a, state = body(mask * x).chunk(2, -1)
            total = total + torch.relu(a)
        return m.out(total)

    lines = lambda a, b: nn.ModuleList([nn.Linear(a, b), nn.Linear(a, b)])
    return Function(
        lambda m, x: forward(m, x), ask=lines(5, 5), bodies=nn.ModuleList([nn.Linear(5, 10), nn.Linear(5, 10)]),
        out=nn.Linear(5, 2),
    )  # fmt: skip


def flow():
    """RealNVP: coupling layers, and the logarithm of their determinant."""

    def forward(m, x):
        total = 0
        for net in m.nets:
            a, b = x.chunk(2, -1)
            s, t = net(a).chunk(2, -1)
            s = torch.tanh(s)
            x = torch.cat([b * s.exp() + t, a], -1)
            total = total + s.sum(-1)
        return -0.5 * x.pow(2).sum(-1) + total

    net = lambda: nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 6))
    return Function(forward, nets=nn.ModuleList([net(), net(), net()]))


def autoencoder():
    return nn.Sequential(
        nn.Linear(8, 5), nn.SELU(), nn.Linear(5, 2), nn.Softsign(), nn.Linear(2, 5), nn.Mish(), nn.Linear(5, 8)
    )


def field():
    """NeRF: sines of a place in many frequencies, a skip, colours and a density."""

    def forward(m, x):
        waves = (x[..., None] * m.rates).flatten(1)
        y = torch.cat([x, waves.sin(), waves.cos()], -1)
        h = m.b(torch.cat([m.a(y), y], -1))
        return torch.cat([m.colour(h).sigmoid(), F.softplus(m.density(h))], -1)

    line = lambda a, b: nn.Sequential(nn.Linear(a, b), nn.ReLU())
    return Function(
        forward, buffers={"rates": torch.tensor([1.0, 2.0, 4.0])}, a=line(21, 6), b=line(27, 6),
        colour=nn.Linear(6, 3), density=nn.Linear(6, 1),
    )  # fmt: skip


def policy():
    """Actor and critic on one body, the duelling values side by side."""

    def forward(m, x):
        h = m.body(x)
        gain = m.gain(h)
        return m.value(h) + gain - gain.mean(1, keepdim=True), m.actor(h).log_softmax(-1)

    return Function(
        forward, body=nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.LayerNorm(8)), value=nn.Linear(8, 1),
        gain=nn.Linear(8, 3), actor=nn.Linear(8, 3),
    )  # fmt: skip


def borrowed(name, shape, **options):
    """A net of test_parameters.py."""
    return Arch(parameter_nets.NETS[name][0], real(*shape), **options)


GRAPH = several(lambda rng, n: {"x": rng.standard_normal((NODES, 4)).astype(np.float32)}, edges)
WEIGHTED = several(GRAPH, lambda rng, n: {"weight": rng.standard_normal((8, 2)).astype(np.float32)})

NETS = {
    "gcn": Arch(
        gcn, GRAPH, fixed=("x", "edges"), refused={"legacy": "it writes no index_add whose indices may repeat"}
    ),
    "gat": Arch(gat, GRAPH, fixed=("x", "edges")),
    "message_passing": Arch(
        messages, WEIGHTED, fixed=("x", "edges", "weight"),
        refused={"legacy": "it writes no GRUCell where it does not know the sizes"},
    ),
    "pointnet": Arch(pointnet, real(6, 3), "cross_entropy"),
    "experts": Arch(experts, real(5)),
    "sparse_experts": Arch(sparse_experts, real(5)),
    "dlrm_sum": Arch(
        bags("sum"), several(real(4), ids(3)),
        without={"qoperator": "the quantizer loses the table that stands in a Loop"},
    ),
    "dlrm_mean": Arch(
        bags("mean"), several(real(4), ids(3)), exporters=LEGACY,
        without={"qoperator": "the quantizer loses the table that stands in a Loop"},
    ),
    "deepfm": Arch(deepfm, ids(3)),
    "wide_and_deep": Arch(wide_and_deep, several(real(4), ids(2))),
    "deep_cross": Arch(cross, real(5), exporters=LEGACY, opsets=(9,)),
    "sasrec": Arch(sasrec, several(ids(5), ids(3, name="wanted")), frozen={"legacy": "mask"}),
    "tabular": Arch(tabular, real(5)),
    "flow": Arch(flow, real(6), rate=0.01),
    "autoencoder": Arch(autoencoder, real(8), exporters=LEGACY, opsets=(18,)),
    "radiance_field": Arch(field, real(3), frozen={"legacy": "rates"}),
    "actor_critic": Arch(policy, real(5), exporters=LEGACY),
    "capsule": borrowed("capsule", (5, 4)),
    "factor_machine": borrowed(
        "factor_machine", (6,), untrained={"dynamo": "the file has v squared beside v, which train apart"}
    ),
    "vector_quantizer": borrowed(
        "vector_quantizer", (4,), untrained={"dynamo": "the file has exp(sharp), which trains in its place"}
    ),
    "memory": borrowed("memory", (6,), exporters=LEGACY, opsets=(13,)),
    "kan": borrowed("spline", (4,), frozen={"legacy": "centres"}),
    "hypernet": borrowed("hyper", (5,), exporters=LEGACY),
}
