"""The training steps of fresh exports as standard ONNX."""

import numpy as np

import steps
from test_torch import NETS as FEED_FORWARD
from test_torch_conv import NETS as CONVOLUTIONS
from test_torch_recurrent import NETS as RECURRENT
from torch_nets import OPTIMIZERS, export, make, stack


def check(tool, net, optimizer):
    model = tool.path(".onnx")
    export(net, make(net, seed=4), model, "legacy", 17)
    rng = np.random.default_rng(4)
    batches = stack([net.inputs(rng) for _ in range(steps.STEPS)])
    targets = np.stack([net.target(rng) for _ in range(steps.STEPS)])
    options = ["--loss", net.loss, "--optimizer", optimizer, *OPTIMIZERS[optimizer][1]]
    steps.check(tool, model, batches, targets, [*options, *net.options], [], [])


def cases():
    nets = {**FEED_FORWARD, **CONVOLUTIONS, **RECURRENT}
    optimizers = list(OPTIMIZERS)
    for k, (name, net) in enumerate(nets.items()):
        optimizer = optimizers[k % len(optimizers)]
        yield f"{name}_{optimizer}", lambda tool, n=net, o=optimizer: check(tool, n, o)
