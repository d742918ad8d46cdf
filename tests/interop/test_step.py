"""The training steps of fresh exports as standard ONNX."""

import numpy as np

import steps
from test_torch import NETS as FEED_FORWARD
from test_torch_conv import NETS as CONVOLUTIONS
from test_torch_recurrent import NETS as RECURRENT
from torch_nets import OPTIMIZERS, export, make, make_batches, stack, train_options


def check(tool, net, optimizer):
    model = tool.path(".onnx")
    export(net, make(net, seed=4), model, "legacy", 17)
    inputs, targets = make_batches(net, np.random.default_rng(4), steps.STEPS)
    targets = None if targets is None else np.stack(targets)
    steps.check(tool, model, stack(inputs), targets, train_options(net, optimizer), [], [])


def cases():
    nets = {**FEED_FORWARD, **CONVOLUTIONS, **RECURRENT}
    optimizers = list(OPTIMIZERS)
    for k, (name, net) in enumerate(nets.items()):
        optimizer = optimizers[k % len(optimizers)]
        if not net.frozen:  # `grad` has --wrt for that
            yield f"{name}_{optimizer}", lambda tool, n=net, o=optimizer: check(tool, n, o)
