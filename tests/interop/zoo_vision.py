"""The zoo's nets that see."""

import torch
import torch.nn.functional as F
from torch import nn

from zoo_net import LEGACY, Arch, ConvNorm, Function, ids, image, real, several


def head(width, count=4):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, count))


class Residual(nn.Module):
    def __init__(self, body, short=None):
        super().__init__()
        self.body, self.short = body, short or nn.Identity()

    def forward(self, x):
        return self.short(x) + self.body(x)


def resnet():
    def block(a, b, stride):
        short = None if a == b and stride == 1 else ConvNorm(a, b, 1, stride, act=None)
        body = nn.Sequential(ConvNorm(a, b, 3, stride), ConvNorm(b, b, act=None))
        return nn.Sequential(Residual(body, short), nn.ReLU())

    return nn.Sequential(
        ConvNorm(3, 4, 7, 2), nn.MaxPool2d(3, 2, 1), block(4, 4, 1), block(4, 8, 2), head(8)
    )


def resnext():
    def block(a, b, groups):
        body = nn.Sequential(ConvNorm(a, b, 1), ConvNorm(b, b, groups=groups), ConvNorm(b, a, 1, act=None))
        return nn.Sequential(Residual(body), nn.ReLU())

    return nn.Sequential(ConvNorm(3, 8, 3, 2), block(8, 8, 4), block(8, 4, 2), head(8))


def densenet():
    def layer(a):
        return nn.Sequential(nn.BatchNorm2d(a), nn.ReLU(), nn.Conv2d(a, 3, 3, padding=1, bias=False))

    def forward(m, x):
        x = m.stem(x)
        for part in m.layers:
            x = torch.cat([x, part(x)], 1)
        return m.head(F.avg_pool2d(F.relu(m.norm(x)), 2))

    return Function(
        forward, stem=nn.Conv2d(3, 4, 3, 2, 1), layers=nn.ModuleList([layer(4), layer(7)]),
        norm=nn.BatchNorm2d(10), head=head(10),
    )  # fmt: skip


class Excite(nn.Module):
    def __init__(self, width, gate=nn.Sigmoid):
        super().__init__()
        self.net = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, 2, 1), nn.SiLU(), nn.Conv2d(2, width, 1), gate()
        )

    def forward(self, x):
        return x * self.net(x)


def inverted(a, b, act, excite=None, kernel=3, stride=1):
    wide = 2 * a
    body = nn.Sequential(
        ConvNorm(a, wide, 1, act=act), ConvNorm(wide, wide, kernel, stride, groups=wide, act=act),
        *([excite(wide)] if excite else []), ConvNorm(wide, b, 1, act=None),
    )  # fmt: skip
    return Residual(body) if a == b and stride == 1 else body


def mobilenet(act, excite=None, kernel=3):
    return lambda: nn.Sequential(
        ConvNorm(3, 4, 3, 2, act=act), inverted(4, 4, act, excite, kernel),
        inverted(4, 6, act, excite, kernel, 2), ConvNorm(6, 8, 1, act=act), head(8),
    )  # fmt: skip


class ChannelNorm(nn.LayerNorm):
    """Over the channels, which are axis 1."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def convnext():
    def forward(m, x):
        y = m.norm(m.depthwise(x).permute(0, 2, 3, 1))
        return x + (m.gamma * m.down(F.gelu(m.up(y)))).permute(0, 3, 1, 2)

    def block(a):
        return Function(
            forward, depthwise=nn.Conv2d(a, a, 7, padding=3, groups=a), norm=nn.LayerNorm(a),
            up=nn.Linear(a, 2 * a), down=nn.Linear(2 * a, a), gamma=torch.rand(a),
        )  # fmt: skip

    return nn.Sequential(
        nn.Conv2d(3, 4, 4, 4), ChannelNorm(4), block(4), ChannelNorm(4), nn.Conv2d(4, 6, 2, 2), block(6), head(6)
    )


def encoder(width, layers=1, **options):
    layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True, **options)
    stack = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    with torch.no_grad():  # the layers begin as copies, which the legacy exporter would merge
        for p in stack.parameters():
            p.add_(torch.randn_like(p) / 9)
    return stack


def vit():
    def forward(m, x):
        patches = m.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([m.cls.expand(patches.shape[0], -1, -1), patches], 1) + m.pos
        return m.head(m.norm(m.blocks(tokens))[:, 0])

    return Function(
        forward, patch=nn.Conv2d(3, 8, 4, 4), cls=torch.randn(1, 1, 8), pos=torch.randn(1, 5, 8),
        blocks=encoder(8, 2, norm_first=True, activation="gelu"), norm=nn.LayerNorm(8), head=nn.Linear(8, 4),
    )  # fmt: skip


def swin():
    """Two blocks of windows, the second shifted, with relative position bias and masks; then a merge."""
    side, window, width, heads = 4, 2, 8, 2
    at = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(2), indexing="ij")).flatten(1)
    away = (at[:, :, None] - at[:, None, :] + 1).permute(1, 2, 0)
    index = away[..., 0] * 3 + away[..., 1]
    region = torch.zeros(side, side)
    for k, (rows, columns) in enumerate([(r, c) for r in (slice(0, 2), slice(2, 3), slice(3, 4)) for c in (slice(0, 2), slice(2, 3), slice(3, 4))]):
        region[rows, columns] = k
    parts = region.view(2, 2, 2, 2).permute(0, 2, 1, 3).reshape(4, 4)
    mask = (parts[:, None, :] != parts[:, :, None]) * -100.0

    def forward(m, x, shift):
        n = x.shape[0]
        y = m.norm(x)
        if shift:
            y = torch.roll(y, (-1, -1), (1, 2))
        y = y.view(n, 2, window, 2, window, width).permute(0, 1, 3, 2, 4, 5).reshape(n * 4, 4, width)
        q, k, v = m.qkv(y).view(-1, 4, 3, heads, width // heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-1, -2) * (width // heads) ** -0.5
        scores = scores + m.table[m.index.view(-1)].view(4, 4, heads).permute(2, 0, 1)
        if shift:
            scores = (scores.view(n, 4, heads, 4, 4) + m.mask[:, None]).view(-1, heads, 4, 4)
        y = m.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, 4, width))
        y = y.view(n, 2, 2, window, window, width).permute(0, 1, 3, 2, 4, 5).reshape(n, side, side, width)
        if shift:
            y = torch.roll(y, (1, 1), (1, 2))
        x = x + y
        return x + m.mlp(m.norm2(x))

    def block():
        return Function(
            forward, buffers={"index": index, "mask": mask}, norm=nn.LayerNorm(width), table=torch.randn(9, heads),
            qkv=nn.Linear(width, 3 * width), out=nn.Linear(width, width), norm2=nn.LayerNorm(width),
            mlp=nn.Sequential(nn.Linear(width, 12), nn.GELU(), nn.Linear(12, width)),
        )  # fmt: skip

    def whole(m, x):
        x = m.patch(x).permute(0, 2, 3, 1)
        x = m.b(m.a(x, False), True)
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        return m.head(m.merge(m.norm(x)).mean((1, 2)))

    return Function(
        whole, patch=nn.Conv2d(3, width, 2, 2), a=block(), b=block(), norm=nn.LayerNorm(4 * width),
        merge=nn.Linear(4 * width, 12, bias=False), head=nn.Linear(12, 4),
    )  # fmt: skip


def unet(up, **options):
    """`up` is a mode of interpolation, or "transposed"."""

    def forward(m, x):
        a = m.a(x)
        b = m.b(F.max_pool2d(a, 2))
        if up == "transposed":
            b = m.up(b)
        else:
            b = F.interpolate(b, scale_factor=2, mode=up, **options)
        return m.out(m.c(torch.cat([a, b], 1)))

    return lambda: Function(
        forward, a=ConvNorm(3, 4), b=ConvNorm(4, 6), c=ConvNorm(10, 5), out=nn.Conv2d(5, 2, 1),
        up=nn.ConvTranspose2d(6, 6, 2, 2) if up == "transposed" else nn.Identity(),
    )  # fmt: skip


def deeplab():
    def forward(m, x):
        low = m.stem(x)
        pooled = F.interpolate(m.pool(low.mean((2, 3), keepdim=True)), low.shape[-2:], mode="bilinear")
        y = m.join(torch.cat([m.r1(low), m.r2(low), m.r3(low), pooled], 1))
        return F.interpolate(m.out(y), x.shape[-2:], mode="bilinear", align_corners=False)

    return Function(
        forward, stem=nn.Sequential(ConvNorm(3, 4, 3, 2), ConvNorm(4, 6)), r1=ConvNorm(6, 4, 1),
        r2=ConvNorm(6, 4, dilation=2), r3=ConvNorm(6, 4, dilation=3), pool=nn.Sequential(nn.Conv2d(6, 4, 1), nn.ReLU()),
        join=ConvNorm(16, 6, 1), out=nn.Conv2d(6, 3, 1),
    )  # fmt: skip


def detr():
    """Boxes and classes of five queries, side by side in one output too."""

    def forward(m, x):
        seen = m.project(m.stem(x)).flatten(2).transpose(1, 2) + m.pos
        memory = m.encoder(seen)
        found = m.decoder(m.query.expand(x.shape[0], -1, -1), memory)
        kinds, boxes = m.kind(found), m.box(found).sigmoid()
        return torch.cat([kinds, boxes], -1), kinds, boxes

    layer = nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return Function(
        forward, stem=ConvNorm(3, 6, 3, 2), project=nn.Conv2d(6, 8, 2, 2), pos=torch.randn(1, 4, 8),
        encoder=encoder(8), decoder=nn.TransformerDecoder(layer, 1), query=torch.randn(1, 5, 8),
        kind=nn.Linear(8, 3), box=nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)),
    )  # fmt: skip


def squeezenet():
    def fire(m, x):
        s = torch.relu(m.s(x))
        return torch.cat([torch.relu(m.e1(s)), torch.relu(m.e3(s))], 1)

    def make(a, s, e):
        return Function(fire, s=nn.Conv2d(a, s, 1), e1=nn.Conv2d(s, e, 1), e3=nn.Conv2d(s, e, 3, padding=1))

    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), make(4, 2, 3), make(6, 2, 4),
        nn.Dropout(), nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def vgg():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 4),
    )  # fmt: skip


def alexnet():
    return nn.Sequential(
        nn.Conv2d(3, 4, 5, 2, 2), nn.ReLU(), nn.LocalResponseNorm(3), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 4),
    )  # fmt: skip


def inception():
    def forward(m, x):
        pooled = F.avg_pool2d(x, 3, 1, 1)
        return m.head(torch.cat([m.a(x), m.b(x), m.c(x), m.d(pooled)], 1))

    return nn.Sequential(
        ConvNorm(3, 4, 3, 2),
        Function(
            forward, a=ConvNorm(4, 2, 1), b=nn.Sequential(ConvNorm(4, 2, 1), ConvNorm(2, 3)),
            c=nn.Sequential(ConvNorm(4, 2, 1), ConvNorm(2, 3, 5)), d=ConvNorm(4, 2, 1), head=head(10),
        ),
    )  # fmt: skip


def shufflenet():
    def forward(m, x):
        a, b = m.stem(x).chunk(2, 1)
        y = torch.cat([a, m.body(b)], 1)
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return m.head(y)

    return Function(
        forward, stem=ConvNorm(3, 8, 3, 2),
        body=nn.Sequential(ConvNorm(4, 4, 1), ConvNorm(4, 4, groups=4, act=None), ConvNorm(4, 4, 1)), head=head(8),
    )  # fmt: skip


def yolo():
    """A feature pyramid whose boxes of two scales are decoded onto a grid."""

    def decode(raw, grid, stride):
        n, _, h, w = raw.shape
        raw = raw.view(n, 2, 6, h, w).permute(0, 1, 3, 4, 2)
        where = (raw[..., :2].sigmoid() * 2 - 0.5 + grid) * stride
        size = (raw[..., 2:4].sigmoid() * 2) ** 2 * stride
        return torch.cat([where, size, raw[..., 4:].sigmoid()], -1).reshape(n, -1, 6)

    def forward(m, x):
        c1 = m.c1(x)
        c2 = m.c2(c1)
        pooled = torch.cat([c2, F.max_pool2d(c2, 3, 1, 1), F.max_pool2d(c2, 5, 1, 2)], 1)
        p2 = m.p2(pooled)
        p1 = m.p1(torch.cat([F.interpolate(p2, scale_factor=2, mode="nearest"), c1], 1))
        return torch.cat([decode(m.o1(p1), m.grid4, 4.0), decode(m.o2(p2), m.grid2, 8.0)], 1)

    def grid(side):
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        return torch.stack([x, y], -1).float()

    return Function(
        forward, buffers={"grid4": grid(4), "grid2": grid(2)}, c1=ConvNorm(3, 4, 3, 2, act=nn.SiLU),
        c2=ConvNorm(4, 6, 3, 2, act=nn.SiLU), p2=ConvNorm(18, 4, 1, act=nn.SiLU), p1=ConvNorm(8, 4, 1, act=nn.SiLU),
        o1=nn.Conv2d(4, 12, 1), o2=nn.Conv2d(4, 12, 1),
    )  # fmt: skip


def mixer():
    def forward(m, x):
        x = m.patch(x).flatten(2).transpose(1, 2)
        x = x + m.tokens(m.n1(x).transpose(1, 2)).transpose(1, 2)
        x = x + m.channels(m.n2(x))
        return m.head(x.mean(1))

    def mlp(a, b):
        return nn.Sequential(nn.Linear(a, b), nn.GELU(), nn.Linear(b, a))

    return Function(
        forward, patch=nn.Conv2d(3, 6, 2, 2), n1=nn.LayerNorm(6), tokens=mlp(16, 5), n2=nn.LayerNorm(6),
        channels=mlp(6, 9), head=nn.Linear(6, 4),
    )  # fmt: skip


def superresolution():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.PReLU(), Residual(nn.Conv2d(6, 6, 3, padding=1)),
        nn.Conv2d(6, 4, 3, padding=1), nn.PixelShuffle(2), nn.Hardtanh(-2.5, 2.5),
    )  # fmt: skip


def transformer_of_space():
    """A spatial transformer: the image is sampled where a small net says."""

    def forward(m, x):
        theta = m.where(x).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return m.head(F.grid_sample(x, grid, align_corners=False))

    return Function(
        forward, where=nn.Sequential(nn.Conv2d(1, 3, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(27, 6)),
        head=nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4)),
    )  # fmt: skip


def segformer():
    def forward(m, x):
        a = m.patch(x)
        n, c, h, w = a.shape
        rows, few = a.flatten(2).transpose(1, 2), m.reduce(a).flatten(2).transpose(1, 2)
        rows = rows + m.attention(m.norm(rows), few, few)[0]
        a = a + m.mix(rows.transpose(1, 2).reshape(n, c, h, w))
        b = m.next(a)
        b = F.interpolate(m.up(b), size=(h, w), mode="bilinear", align_corners=True)
        return m.out(torch.cat([a, b], 1))

    return Function(
        forward, patch=nn.Conv2d(3, 8, 7, 2, 3), reduce=nn.Conv2d(8, 8, 2, 2), norm=nn.LayerNorm(8),
        attention=nn.MultiheadAttention(8, 2, batch_first=True), mix=nn.Conv2d(8, 8, 3, padding=1, groups=8),
        next=nn.Conv2d(8, 6, 3, 2, 1), up=nn.Conv2d(6, 4, 1), out=nn.Conv2d(12, 3, 1),
    )  # fmt: skip


def video():
    return nn.Sequential(
        nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(4, 3, (1, 2, 2)),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 4),
    )  # fmt: skip


def clip():
    """Images and words side by side: the matrix of how alike they are."""

    def forward(m, x, tokens):
        a = F.normalize(m.image(x), dim=-1)
        b = F.normalize(m.text(tokens).mean(1), dim=-1)
        return m.scale.exp() * (a * b).sum(-1, keepdim=True), a, b

    return Function(
        forward, image=nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.ReLU(), head(5, 6)),
        text=nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 6)), scale=torch.tensor(0.7),
    )  # fmt: skip


def clf(module, inputs=image(3, 16), **options):
    return Arch(module, inputs, "cross_entropy", **options)


NETS = {
    "resnet": clf(resnet, norms=True),
    "resnext": clf(resnext, norms=True, exporters=LEGACY, opsets=(12,)),
    "densenet": clf(densenet, norms=True),
    "mobilenet_v2": clf(mobilenet(nn.ReLU6), norms=True),
    "mobilenet_v3": clf(mobilenet(nn.Hardswish, lambda w: Excite(w, nn.Hardsigmoid), 5), norms=True, exporters=LEGACY),
    "efficientnet": clf(mobilenet(nn.SiLU, Excite), norms=True),
    "convnext": clf(convnext),
    "vit": clf(vit, image(3, 8)),
    "swin": clf(swin, image(3, 8)),
    "unet_bilinear": clf(unet("bilinear", align_corners=False), image(3, 8), norms=True),
    "unet_corners": clf(unet("bilinear", align_corners=True), image(3, 8), norms=True, exporters=LEGACY),
    "unet_bicubic": clf(unet("bicubic"), image(3, 8), norms=True, exporters=LEGACY),
    "unet_transposed": clf(unet("transposed"), image(3, 8, 12), norms=True),
    "deeplab": clf(deeplab, norms=True, exporters=LEGACY),
    "detr": Arch(detr, image(3, 8), norms=True),
    "squeezenet": clf(squeezenet, exporters=LEGACY, opsets=(10,)),
    "vgg": clf(vgg, exporters=LEGACY, opsets=(9,)),
    "alexnet": clf(alexnet),
    "inception": clf(inception, norms=True, exporters=LEGACY, opsets=(11,)),
    "shufflenet": clf(shufflenet, norms=True),
    "yolo": Arch(yolo, image(3, 8), norms=True, rate=0.01, frozen={"legacy": "grid4,grid2"}),
    "mlp_mixer": clf(mixer, image(3, 8)),
    "superresolution": Arch(superresolution, image(1, 6)),
    "spatial_transformer": clf(
        transformer_of_space, image(1, 8), opsets=(20, 20)
    ),
    "segformer": clf(segformer, image(3, 8)),
    "video_3d": clf(video, real(2, 4, 6, 6), norms=True),
    "clip": Arch(
        clip, several(image(3, 8), ids(5)),
        untrained={"dynamo": "the file has exp(scale) in place of scale, which trains in its place"},
    ),
}
