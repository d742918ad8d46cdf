"""The zoo's nets that read, speak and hear."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from zoo_net import LEGACY, Arch, Function, ids, real, several
from zoo_vision import encoder


def lstm_attention():
    def forward(m, tokens):
        rows, _ = m.rnn(m.embed(tokens))
        weights = torch.softmax(m.score(torch.tanh(rows)), 1)
        return m.out((weights * rows).sum(1))

    return Function(
        forward, embed=nn.Embedding(11, 5), rnn=nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True),
        score=nn.Linear(12, 1), out=nn.Linear(12, 4),
    )  # fmt: skip


def gru_stack():
    return Function(
        lambda m, x: m.out(m.b(m.norm(m.a(x)[0]))[0][:, -1]), a=nn.GRU(4, 6, batch_first=True),
        norm=nn.LayerNorm(6), b=nn.GRU(6, 5, batch_first=True), out=nn.Linear(5, 4),
    )  # fmt: skip


def seq2seq():
    """An encoder, and a decoder that attends to it; told the right words of the answer."""

    def forward(m, tokens, answer):
        memory, state = m.encoder(m.words(tokens))
        rows, _ = m.decoder(m.other(answer), state)
        weights = torch.softmax(rows @ m.ask(memory).transpose(1, 2), -1)
        return m.out(torch.tanh(m.join(torch.cat([rows, weights @ memory], -1)))).transpose(1, 2)

    return Function(
        forward, words=nn.Embedding(11, 5), other=nn.Embedding(9, 5), encoder=nn.LSTM(5, 6, batch_first=True),
        decoder=nn.LSTM(5, 6, batch_first=True), ask=nn.Linear(6, 6, bias=False), join=nn.Linear(12, 6),
        out=nn.Linear(6, 9),
    )  # fmt: skip


def bert():
    """With a mask of what is padding, segments, and a pooler."""

    def forward(m, tokens, segments, mask):
        places = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
        x = m.norm(m.words(tokens) + m.places(places) + m.kinds(segments))
        far = (1 - mask[:, None, None, :].to(x.dtype)) * -10000.0
        for layer in m.layers:
            x = layer(x, far)
        return m.out(torch.tanh(m.pool(x[:, 0])))

    def block(m, x, far):
        n, length, width = x.shape
        q, k, v = (p(x).view(n, length, 2, width // 2).transpose(1, 2) for p in (m.q, m.k, m.v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // 2) + far
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, width)
        x = m.n1(x + m.o(y))
        return m.n2(x + m.down(F.gelu(m.up(x))))

    def make():
        return Function(
            block, q=nn.Linear(8, 8), k=nn.Linear(8, 8), v=nn.Linear(8, 8), o=nn.Linear(8, 8), n1=nn.LayerNorm(8),
            up=nn.Linear(8, 12), down=nn.Linear(12, 8), n2=nn.LayerNorm(8),
        )  # fmt: skip

    return Function(
        forward, words=nn.Embedding(11, 8), places=nn.Embedding(6, 8), kinds=nn.Embedding(2, 8),
        norm=nn.LayerNorm(8), layers=nn.ModuleList([make(), make()]), pool=nn.Linear(8, 8), out=nn.Linear(8, 4),
    )  # fmt: skip


def gpt():
    """GPT-2: causal, the norms first, one product for queries, keys and values."""

    def block(m, x):
        n, length, width = x.shape
        q, k, v = (t.view(n, length, 2, width // 2).transpose(1, 2) for t in m.qkv(m.n1(x)).split(width, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + m.o(y.transpose(1, 2).reshape(n, length, width))
        return x + m.down(F.gelu(m.up(m.n2(x)), approximate="tanh"))

    def forward(m, tokens):
        x = m.words(tokens) + m.places
        for layer in m.layers:
            x = layer(x)
        return m.out(m.norm(x)).transpose(1, 2)

    def make():
        return Function(
            block, n1=nn.LayerNorm(8), qkv=nn.Linear(8, 24), o=nn.Linear(8, 8), n2=nn.LayerNorm(8),
            up=nn.Linear(8, 16), down=nn.Linear(16, 8),
        )  # fmt: skip

    return Function(
        forward, words=nn.Embedding(11, 8), places=torch.randn(1, 5, 8), layers=nn.ModuleList([make(), make()]),
        norm=nn.LayerNorm(8), out=nn.Linear(8, 11, bias=False),
    )  # fmt: skip


class RootNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


def llama(cache=False):
    """Rotary positions, grouped queries, SwiGLU; with a cache, one more word after three."""

    def turn(x, cos, sin):
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat([-b, a], -1) * sin

    def repeat(x):
        n, heads, length, width = x.shape
        return x[:, :, None].expand(n, heads, 2, length, width).reshape(n, heads * 2, length, width)

    def attend(m, x, cos, sin, mask, past):
        n, length, _ = x.shape
        y = m.n1(x)
        q = turn(m.q(y).view(n, length, 4, 4).transpose(1, 2), cos, sin)
        k = turn(m.k(y).view(n, length, 2, 4).transpose(1, 2), cos, sin)
        v = m.v(y).view(n, length, 2, 4).transpose(1, 2)
        if past:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        scores = q @ repeat(k).transpose(-1, -2) / 2.0
        if mask is not None:
            scores = scores + mask
        y = (scores.softmax(-1) @ repeat(v)).transpose(1, 2).reshape(n, length, 16)
        x = x + m.o(y)
        y = m.n2(x)
        return x + m.down(F.silu(m.gate(y)) * m.up(y)), k, v

    def forward(m, tokens, *past):
        x = m.words(tokens)
        length, first = tokens.shape[1], past[0].shape[2] if past else 0
        cos, sin = m.cos[first : first + length], m.sin[first : first + length]
        mask = None if past else m.mask[:length, :length]
        x, k, v = attend(m.layer, x, cos, sin, mask, past)
        y = m.out(m.norm(x)).transpose(1, 2)
        return (y, k, v) if past else y

    angle = torch.arange(8)[:, None] * torch.tensor([1.0, 0.1, 1.0, 0.1])
    line = lambda a, b: nn.Linear(a, b, bias=False)
    buffers = {"cos": angle.cos(), "sin": angle.sin()}
    if not cache:
        buffers["mask"] = torch.full((8, 8), -10000.0).triu(1)
    return lambda: Function(
        forward, buffers=buffers, words=nn.Embedding(11, 16), norm=RootNorm(16), out=line(16, 11),
        layer=Function(
            attend, n1=RootNorm(16), q=line(16, 16), k=line(16, 8), v=line(16, 8), o=line(16, 16), n2=RootNorm(16),
            gate=line(16, 12), up=line(16, 12), down=line(12, 16),
        ),
    )  # fmt: skip


def whisper():
    def forward(m, x, tokens):
        memory = F.gelu(m.c2(F.gelu(m.c1(x)))).transpose(1, 2) + m.places
        memory = m.encoder(memory)
        y = m.decoder(m.words(tokens) + m.where, memory, tgt_mask=m.mask, tgt_is_causal=False)
        return (m.norm(y) @ m.head.t()).transpose(1, 2)

    layer = nn.TransformerDecoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True)
    sines = torch.sin(torch.arange(5)[:, None] * torch.exp(-torch.arange(8) / 2))
    return Function(
        forward, buffers={"places": sines, "mask": torch.full((4, 4), -10000.0).triu(1)},
        c1=nn.Conv1d(6, 8, 3, padding=1), c2=nn.Conv1d(8, 8, 3, 2, 1), encoder=encoder(8, norm_first=True),
        words=nn.Embedding(11, 8), where=torch.randn(4, 8), decoder=nn.TransformerDecoder(layer, 1),
        norm=nn.LayerNorm(8), head=torch.randn(11, 8),
    )  # fmt: skip


def mamba():
    """A selective state space: the steps depend on what is read."""

    def forward(m, x):
        a, gate = m.into(m.norm(x)).chunk(2, -1)
        a = F.silu(m.conv(a.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))
        step, b, c = m.select(a).split([2, 3, 3], -1)
        step = F.softplus(m.step(step))
        decay = torch.exp(step[..., None] * -torch.exp(m.log_a))
        fed = step[..., None] * b[:, :, None, :] * a[..., None]
        state, rows = torch.zeros_like(fed[:, 0]), []
        for t in range(4):
            state = decay[:, t] * state + fed[:, t]
            rows.append((state * c[:, t, None]).sum(-1))
        y = torch.stack(rows, 1) + m.d * a
        return x + m.out(y * F.silu(gate))

    return Function(
        forward, norm=RootNorm(4), into=nn.Linear(4, 12, bias=False), conv=nn.Conv1d(6, 6, 3, padding=2, groups=6),
        select=nn.Linear(6, 8, bias=False), step=nn.Linear(2, 6), log_a=torch.rand(6, 3), d=torch.randn(6),
        out=nn.Linear(6, 4, bias=False),
    )  # fmt: skip


def rwkv():
    """Time mixing with an exponentially forgetting memory."""

    def forward(m, tokens):
        x = m.norm(m.words(tokens))
        before = F.pad(x, (0, 0, 1, -1))
        mixed = x * m.mix + before * (1 - m.mix)
        k, v, r = m.k(mixed), m.v(mixed), torch.sigmoid(m.r(mixed))
        top, bottom, rows = torch.zeros_like(k[:, 0]), torch.zeros_like(k[:, 0]), []
        for t in range(4):
            now = torch.exp(m.bonus + k[:, t])
            rows.append((top + now * v[:, t]) / (bottom + now))
            fade = torch.exp(-torch.exp(m.decay))
            top, bottom = fade * top + k[:, t].exp() * v[:, t], fade * bottom + k[:, t].exp()
        return m.out(r * torch.stack(rows, 1)).transpose(1, 2)

    line = lambda: nn.Linear(6, 6, bias=False)
    return Function(
        forward, words=nn.Embedding(11, 6), norm=nn.LayerNorm(6), mix=torch.rand(6), k=line(), v=line(), r=line(),
        bonus=torch.randn(6), decay=torch.randn(6), out=nn.Linear(6, 11),
    )  # fmt: skip


def temporal():
    """A causal convolutional net."""

    def block(m, x):
        y = torch.relu(m.a(F.pad(x, (2 * m.gap, 0))))
        return torch.relu(m.b(F.pad(y, (2 * m.gap, 0))) + x)

    def make(gap):
        module = Function(block, a=nn.Conv1d(4, 4, 3, dilation=gap), b=nn.Conv1d(4, 4, 3, dilation=gap))
        module.gap = gap
        return module

    return nn.Sequential(make(1), make(2), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(4, 4))


def wavenet():
    def forward(m, x):
        x = m.into(x)
        skip = 0
        for gap, gates, side in zip((1, 2), m.gates, m.sides):
            a, b = gates(F.pad(x, (gap, 0))).chunk(2, 1)
            y = torch.tanh(a) * torch.sigmoid(b)
            skip = skip + side(y)
            x = x + y
        return m.out(torch.relu(skip))

    return Function(
        forward, into=nn.Conv1d(1, 4, 1), gates=nn.ModuleList([nn.Conv1d(4, 8, 2, dilation=g) for g in (1, 2)]),
        sides=nn.ModuleList([nn.Conv1d(4, 5, 1) for _ in range(2)]), out=nn.Conv1d(5, 6, 1),
    )  # fmt: skip


def text_cnn():
    def forward(m, tokens):
        x = m.words(tokens).transpose(1, 2)
        return m.out(torch.cat([torch.relu(c(x)).amax(2) for c in m.convs], 1))

    return Function(
        forward, words=nn.Embedding(11, 5), convs=nn.ModuleList([nn.Conv1d(5, 3, k) for k in (2, 3, 4)]),
        out=nn.Linear(9, 4),
    )  # fmt: skip


def t5():
    """Bias from buckets of how far words are apart, and no scale."""
    away = torch.arange(5)[None] - torch.arange(5)[:, None]
    buckets = away.abs().clamp(max=3) + 4 * (away > 0)

    def forward(m, tokens):
        x = m.words(tokens)
        y = m.n1(x)
        q, k, v = (p(y).view(-1, 5, 2, 4).transpose(1, 2) for p in (m.q, m.k, m.v))
        scores = q @ k.transpose(-1, -2) + m.bias(m.buckets).permute(2, 0, 1)
        x = x + m.o((scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, 5, 8))
        return (x + m.down(torch.relu(m.up(m.n2(x))))).mean(1)

    line = lambda a, b: nn.Linear(a, b, bias=False)
    return Function(
        forward, buffers={"buckets": buckets}, words=nn.Embedding(11, 8), n1=RootNorm(8), q=line(8, 8), k=line(8, 8),
        v=line(8, 8), o=line(8, 8), bias=nn.Embedding(8, 2), n2=RootNorm(8), up=line(8, 12), down=line(12, 8),
    )  # fmt: skip


def performer():
    """Attention that is linear in the length, causal by running sums."""

    def forward(m, x):
        q, k, v = F.elu(m.q(x)) + 1, F.elu(m.k(x)) + 1, m.v(x)
        seen = torch.cumsum(torch.einsum("nld,nle->nlde", k, v), 1)
        return torch.einsum("nld,nlde->nle", q, seen) / torch.einsum("nld,nld->nl", q, k.cumsum(1)).unsqueeze(-1)

    return Function(forward, q=nn.Linear(4, 5), k=nn.Linear(4, 5), v=nn.Linear(4, 3))


def conformer():
    def forward(m, x):
        x = x + 0.5 * m.first(x)
        y = m.norm(x)
        x = x + m.attention(y, y, y, need_weights=False)[0]
        y = F.glu(m.point(m.norm2(x).transpose(1, 2)), 1)
        x = x + m.last(F.silu(m.gn(m.depth(y)))).transpose(1, 2)
        return m.out(x + 0.5 * m.second(x)).log_softmax(-1)

    def feed():
        return nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 12), nn.SiLU(), nn.Linear(12, 8))

    return Function(
        forward, first=feed(), norm=nn.LayerNorm(8), attention=nn.MultiheadAttention(8, 2, batch_first=True),
        norm2=nn.LayerNorm(8), point=nn.Conv1d(8, 16, 1), depth=nn.Conv1d(8, 8, 3, padding=1, groups=8),
        gn=nn.GroupNorm(2, 8), last=nn.Conv1d(8, 8, 1), second=feed(), out=nn.Linear(8, 5),
    )  # fmt: skip


def translation():
    def forward(m, source, answer):
        y = m.net(m.a(source), m.b(answer), tgt_mask=m.mask, tgt_is_causal=False)
        return m.out(y).transpose(1, 2)

    return Function(
        forward, buffers={"mask": torch.full((4, 4), -10000.0).triu(1)}, a=nn.Embedding(11, 8), b=nn.Embedding(9, 8),
        net=nn.Transformer(8, 2, 1, 1, 16, 0.0, batch_first=True), out=nn.Linear(8, 9),
    )  # fmt: skip


def highway():
    def forward(m, tokens):
        x = m.words(tokens).mean(1)
        for plain, gate in zip(m.plain, m.gates):
            share = torch.sigmoid(gate(x))
            x = share * torch.relu(plain(x)) + (1 - share) * x
        return m.out(x)

    lines = lambda: nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
    return Function(forward, words=nn.Embedding(11, 6), plain=lines(), gates=lines(), out=nn.Linear(6, 4))


def tagger():
    """A CRF's forward sums over what a bidirectional LSTM says."""

    def forward(m, tokens):
        scores = m.emit(m.rnn(m.words(tokens))[0])
        alpha = m.start + scores[:, 0]
        for t in range(1, 4):
            alpha = torch.logsumexp(alpha[:, :, None] + m.move, 1) + scores[:, t]
        return torch.logsumexp(alpha, 1, keepdim=True)

    return Function(
        forward, words=nn.Embedding(11, 5), rnn=nn.LSTM(5, 3, batch_first=True, bidirectional=True),
        emit=nn.Linear(6, 4), start=torch.randn(4), move=torch.randn(4, 4),
    )  # fmt: skip


def informer():
    """Forecasting: the mean is taken off and put back, and the window is cut into patches."""

    def forward(m, x):
        mean = x.mean(1, keepdim=True)
        spread = torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-5)
        patches = ((x - mean) / spread).unfold(1, 4, 2)
        y = m.blocks(m.embed(patches) + m.places)
        return m.out(y.flatten(1)) * spread + mean

    return Function(
        forward, embed=nn.Linear(4, 8), places=torch.randn(1, 5, 8), blocks=encoder(8), out=nn.Linear(40, 3)
    )


def spectrum(x, window):
    # Not as complex numbers, which the legacy exporter refuses.
    return torch.stft(x, 8, 4, window=window, center=False, return_complex=False)


def keyword():
    """STFT, mel bands, logarithm, convolutions."""

    def forward(m, wave):
        power = spectrum(wave, m.window).pow(2).sum(-1)
        bands = torch.log(m.mel @ power + 1e-3)
        return m.net(bands.unsqueeze(1))

    return Function(
        forward, buffers={"window": torch.hann_window(8), "mel": torch.rand(4, 5)},
        net=nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4)),
    )  # fmt: skip


def separator():
    """A mask over the spectrum from a recurrent net."""

    def forward(m, wave):
        parts = spectrum(wave, m.window)
        size = torch.sqrt(parts.pow(2).sum(-1) + 1e-6).transpose(1, 2)
        mask = torch.sigmoid(m.out(m.rnn(size)[0]))
        return mask * size

    return Function(
        forward, buffers={"window": torch.hann_window(8)}, rnn=nn.GRU(5, 6, batch_first=True), out=nn.Linear(6, 5)
    )


def raw_audio():
    return nn.Sequential(
        nn.Conv1d(1, 4, 8, 4), nn.GELU(), nn.GroupNorm(1, 4), nn.Conv1d(4, 6, 3, 2), nn.GELU(), nn.AdaptiveAvgPool1d(1),
        nn.Flatten(), nn.Linear(6, 4),
    )  # fmt: skip


def clf(module, inputs, **options):
    return Arch(module, inputs, "cross_entropy", **options)


WORDS = ids(5)
PAST = several(ids(1), real(2, 3, 4, name="past_key"), real(2, 3, 4, name="past_value"))
PADDED = several(WORDS, ids(5, high=2, name="segments"), ids(5, high=2, name="mask"))

NETS = {
    "lstm_attention": clf(lstm_attention, WORDS, exporters=LEGACY),
    "gru_stack": clf(gru_stack, real(5, 4)),
    "seq2seq": clf(seq2seq, several(WORDS, ids(4, high=9, name="answer"))),
    "bert": clf(bert, PADDED),
    "gpt": clf(
        gpt, WORDS, without=dict.fromkeys(
            ("qdq", "qdq_channels", "qoperator"), "the mask is -inf, of which the quantizer makes an infinite scale"
        ),
    ),  # fmt: skip
    "llama": clf(llama(), WORDS, frozen={"legacy": "cos,sin,mask"}, exporters=LEGACY),
    "llama_cache": clf(llama(cache=True), PAST, frozen={"legacy": "cos,sin"}),
    "whisper": clf(whisper, several(real(6, 10), ids(4)), frozen={"legacy": "places,mask"}),
    "mamba": Arch(mamba, real(4, 4)),
    "rwkv": clf(
        rwkv, ids(4),
        untrained={"dynamo": "the file has 1 - mix and exp(-exp(decay)) beside or in place of mix and decay"},
    ),
    "temporal_cnn": clf(temporal, real(4, 9), exporters=LEGACY, opsets=(11,)),
    "wavenet": clf(wavenet, real(1, 9)),
    "text_cnn": clf(text_cnn, WORDS),
    "t5": Arch(
        t5, WORDS, untrained={"dynamo": "the file has the rows of the bias that are used, which train one by one"}
    ),
    "performer": Arch(performer, real(5, 4)),
    "conformer": Arch(conformer, real(5, 8), exporters=LEGACY),
    "translation": clf(translation, several(ids(5, name="source"), ids(4, high=9, name="answer")), exporters=LEGACY),
    "highway": clf(highway, WORDS, exporters=LEGACY, opsets=(10,)),
    "tagger": Arch(tagger, ids(4), exporters=LEGACY),
    "patch_forecast": Arch(informer, real(12)),
    "keyword_stft": clf(keyword, real(32, name="wave"), frozen={"legacy": "mel,window"}, opsets=(20, 17)),
    "separator_stft": Arch(
        separator, real(32, name="wave"), frozen={"legacy": "window"}, exporters=LEGACY, opsets=(17,)
    ),
    "raw_audio": clf(raw_audio, real(1, 64)),
}
