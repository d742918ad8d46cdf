"""Control flow of PyTorch: If, Loop, Scan and sequences, from torch.cond, scan and while_loop (the
default exporter) and from scripted modules (the legacy one)."""

import numpy as np
import torch
from torch import nn
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

import net_checks
from torch_nets import Net, classes, floats, targets


class CellInLoop(nn.Module):
    """A cell in a loop over time; scripted, the legacy exporter writes it as Loop."""

    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        self.cell = nn.Linear(inputs + hidden, hidden)
        self.out = nn.Linear(hidden, 2)
        self.hidden = hidden

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(x.size(1), self.hidden, dtype=x.dtype)
        for t in range(x.size(0)):
            h = torch.tanh(self.cell(torch.cat([x[t], h], dim=1)))
        return self.out(h)


class NestedLoops(nn.Module):
    """A loop in a loop, the inner one as often as the outer one's counter says."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.zeros_like(x[0])
        for t in range(x.size(0)):
            h = torch.tanh(self.a(x[t]) + h)
            for i in range(t):
                h = torch.sigmoid(self.b(h)) - 0.5 * h
        return h


class Collected(nn.Module):
    """Outputs of a loop put into a list: SequenceInsert, then ConcatFromSequence."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.Linear(9, 5), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        outputs: list[torch.Tensor] = []
        for t in range(x.size(0)):
            h = torch.tanh(self.cell(torch.cat([x[t], h], dim=1)))
            outputs.append(self.out(h))
        return torch.stack(outputs)


class Decoder(nn.Module):
    """An encoder, then a scripted decoder that feeds on its own answers."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(4, 6)
        self.cell, self.out = nn.Linear(9, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, state = self.encoder(x)
        h = state[0]
        y = torch.zeros(x.size(1), 3, dtype=x.dtype)
        outputs: list[torch.Tensor] = []
        for i in range(x.size(0) + 2):
            h = torch.tanh(self.cell(torch.cat([y, h], dim=1)))
            y = torch.tanh(self.out(h))
            outputs.append(y)
        return torch.stack(outputs)


class While(nn.Module):
    """A loop that ends when its state says so."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = 0
        while bool(x.abs().sum() < 20.0) and steps < 6:
            x = x + torch.sigmoid(self.a(x))
            steps += 1
        return x


class ScriptedIf(nn.Module):
    """Layers chosen by the data, one branch with a choice of its own."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x.sum() > 0):
            h = torch.tanh(self.a(x))
        elif bool(x.sum() < -2):
            h = torch.relu(self.b(x)) * 2.0
        else:
            h = self.a(x) + self.b(x)
        return self.c(h)


class Cond(nn.Module):
    """torch.cond with weights in both branches and a value of the outside."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(5, 6), nn.Linear(5, 6), nn.Linear(6, 2)

    def forward(self, x):
        scale = torch.sigmoid(x.mean())
        h = torch.cond(
            x.sum() > 0,
            lambda x, s: torch.tanh(self.a(x)) * s,
            lambda x, s: torch.relu(self.b(x)) + s,
            (x, scale),
        )
        return self.out(h)


class Scanned(nn.Module):
    """A cell under torch's scan: all its states and the last one."""

    def __init__(self, reverse=False):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.reverse = reverse

    def forward(self, x, h0):
        def step(h, x):
            h = torch.tanh(self.a(x) + self.b(h))
            return h, h.clone()

        last, states = scan(step, h0, x, dim=0, reverse=self.reverse)
        return self.out(states), last


class WhileLoop(nn.Module):
    """torch's while_loop, whose state is a counter and a tensor."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        def goes_on(count, x):
            return count < 4

        def step(count, x):
            return count + 1, torch.tanh(self.a(x)) + x

        return while_loop(goes_on, step, (torch.tensor(0), x))[1]


def scripted(module, *args):
    return lambda: torch.jit.script(module(*args))


def with_state(*shape, hidden=5):
    def make_inputs(rng):
        state = rng.standard_normal((shape[1], hidden)).astype(np.float32)
        return {**floats(*shape)(rng), "h0": state}

    return make_inputs


ANY_LENGTH = {"x": {0: "t"}}
SCRIPTED = {
    "loop": Net(
        scripted(CellInLoop, 4, 5), floats(6, 3, 4), targets(3, 2), "mse", dynamic=ANY_LENGTH
    ),
    "nested_loops": Net(
        scripted(NestedLoops), floats(4, 2, 4), targets(2, 4), "mse", dynamic=ANY_LENGTH
    ),
    "collected": Net(
        scripted(Collected), with_state(5, 2, 4), targets(5, 2, 3), "mse", dynamic=ANY_LENGTH
    ),
    "decoder": Net(
        scripted(Decoder), floats(3, 2, 4), targets(5, 2, 3), "mse", dynamic=ANY_LENGTH
    ),
    "while": Net(scripted(While), floats(2, 3), targets(2, 3), "mse"),
    "if": Net(scripted(ScriptedIf), floats(2, 3), classes(2, 2), "cross_entropy"),
}
DEFAULT = {
    "cond": Net(Cond, floats(3, 5), targets(3, 2), "mse"),
    "scan": Net(Scanned, with_state(6, 2, 4), targets(6, 2, 3), "mse"),
    "scan_one_step": Net(Scanned, with_state(1, 3, 4), targets(1, 3, 3), "mse"),
}
# PyTorch itself has no gradient of while_loop.
RUN_ONLY = {"while_loop": Net(WhileLoop, floats(2, 3), targets(2, 3), "mse")}


def cases():
    optimizers = ["adam", "sgd", "momentum"]
    yield from net_checks.cases(SCRIPTED, [("legacy", 17), ("legacy", 13)], optimizers, True)
    yield from net_checks.cases(DEFAULT, [("dynamo", 20), ("dynamo", 18)], optimizers, True)
    yield from net_checks.cases(RUN_ONLY, [("dynamo", 20)], [])
