"""The zoo's nets that make pictures."""

import torch
import torch.nn.functional as F
from torch import nn

from zoo_net import LEGACY, Arch, Function, image, real, several


def generator():
    def up(a, b):
        return [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.InstanceNorm2d(b, affine=True), nn.ReLU()]

    return nn.Sequential(
        nn.Unflatten(1, (6, 1, 1)), nn.ConvTranspose2d(6, 8, 4), nn.ReLU(), *up(8, 6), *up(6, 4),
        nn.Conv2d(4, 3, 3, padding=1), nn.Tanh(),
    )  # fmt: skip


def discriminator():
    return nn.Sequential(
        nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 8, 4, 2, 1), nn.GroupNorm(2, 8), nn.LeakyReLU(0.2),
        nn.Conv2d(8, 1, 4), nn.Flatten(),
    )  # fmt: skip


def style():
    """StyleGAN's modulated convolution, of a style for each image."""

    def forward(m, z, x):
        n = x.shape[0]
        w = m.weight.unsqueeze(0) * (m.style(z) + 1).view(n, 1, 4, 1, 1)
        w = w * torch.rsqrt(w.pow(2).sum((2, 3, 4), keepdim=True) + 1e-6)
        patches = F.unfold(x, 3, padding=1)
        y = torch.bmm(w.view(n, 5, 36), patches).view(n, 5, 6, 6)
        return F.leaky_relu(y + m.bias.view(1, -1, 1, 1), 0.2)

    return Function(forward, weight=torch.randn(5, 4, 3, 3), style=nn.Linear(6, 4), bias=torch.randn(5))


def vae():
    """The noise is an input."""

    def forward(m, x, noise):
        mean, logarithm = m.encode(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * logarithm) * noise
        return m.decode(z), mean, logarithm

    return Function(
        forward, encode=nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6)),
        decode=nn.Sequential(
            nn.Linear(3, 64), nn.ReLU(), nn.Unflatten(1, (4, 4, 4)), nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Sigmoid()
        ),
    )  # fmt: skip


def diffusion():
    """A U-Net told the time by sines, with group norms and attention in its middle."""

    def block(m, x, t):
        y = m.a(F.silu(m.n1(x))) + m.t(t)[:, :, None, None]
        return x + m.b(F.silu(m.n2(y)))

    def make(width):
        return Function(
            block, n1=nn.GroupNorm(2, width), a=nn.Conv2d(width, width, 3, padding=1), t=nn.Linear(8, width),
            n2=nn.GroupNorm(2, width), b=nn.Conv2d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(m, x, time):
        angle = time[:, None] * m.rates
        t = m.time(torch.cat([angle.sin(), angle.cos()], -1))
        a = m.a(m.stem(x), t)
        b = m.b(m.down(a), t)
        n, c, h, w = b.shape
        rows = b.flatten(2).transpose(1, 2)
        b = b + m.attention(rows, rows, rows)[0].transpose(1, 2).reshape(n, c, h, w)
        up = F.interpolate(b, scale_factor=2.0, mode="nearest")
        return m.out(F.silu(m.up(torch.cat([a, up], 1))))

    return Function(
        forward, buffers={"rates": torch.exp(-torch.arange(4) * 1.5)}, stem=nn.Conv2d(3, 4, 3, padding=1),
        time=nn.Sequential(nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 8)), a=make(4), down=nn.Conv2d(4, 6, 3, 2, 1),
        b=make(6), attention=nn.MultiheadAttention(6, 2, batch_first=True), up=nn.Conv2d(10, 6, 3, padding=1),
        out=nn.Conv2d(6, 3, 1),
    )  # fmt: skip


NETS = {
    "gan_generator": Arch(generator, real(6)),
    "gan_discriminator": Arch(discriminator, image(3, 16), exporters=LEGACY, opsets=(11,)),
    "stylegan": Arch(style, several(real(6, name="z"), image(4, 6))),
    "vae": Arch(vae, several(image(1, 8), real(3, name="noise"))),
    "diffusion_unet": Arch(diffusion, several(image(3, 8), real(name="time")), frozen={"legacy": "rates"}),
}
