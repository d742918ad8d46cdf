"""Other programs that train the nets of nets.py, for tables.py.

A peer is a function of a job. It trains five steps from the job's weights and returns their losses
and a function that gives the best time of a further step in a round. Missing says why there is
none.
"""

import contextlib
import copy
import dataclasses
import importlib.metadata
import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys

import nets
import torch
from timing import Missing, best_time


@dataclasses.dataclass
class Job:
    case: nets.Training
    net: torch.nn.Module  # the weights to begin with
    x: torch.Tensor
    target: torch.Tensor
    folder: pathlib.Path  # has model.onnx, x0.npy and target.npy
    ending: contextlib.ExitStack  # what is to be closed when the row is done


def trained(step):
    return [step() for _ in range(5)], lambda: best_time(step)


def torch_step(case, net, x, target, compiler=lambda function: function):
    """A step that moves the net, and its optimizer."""
    loss_function, optimizer = case.torch_loss(), case.torch_optimizer(net)
    loss_of = compiler(lambda x, target: loss_function(net(x), target))
    update = compiler(optimizer.step)

    def step():
        optimizer.zero_grad()
        loss = loss_of(x, target)
        loss.backward()
        update()
        return loss.item()

    return step, optimizer


def eager_step(job):
    return torch_step(job.case, copy.deepcopy(job.net), job.x, job.target)[0]


def eager(job):
    return trained(eager_step(job))


def compiled(job):
    # Else the nets before count as recompilations of the same code.
    torch._dynamo.reset()
    net = copy.deepcopy(job.net)
    return trained(torch_step(job.case, net, job.x, job.target, torch.compile)[0])


def jax_jit(job):
    import jax_nets

    return trained(jax_nets.training_step(job.case, job.net, job.x, job.target))


def ort_training(python):
    script = pathlib.Path(__file__).with_name("ort_training.py")

    def train(job):
        rate = job.case.options()[-1]
        arguments = [python, script, job.folder, job.case.loss, job.case.optimizer, rate]
        log = job.ending.enter_context(open(job.folder / "ort_training.log", "w+"))
        child = job.ending.enter_context(
            subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        )
        losses = child.stdout.readline()
        if not losses:
            child.wait()
            log.seek(0)
            raise Missing((log.read().splitlines() or ["it ended"])[-1])

        def best_of_round():
            child.stdin.write("\n")
            child.stdin.flush()
            return float(child.stdout.readline())

        return json.loads(losses), best_of_round

    return train


def compiler_found():
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        raise Missing("there is no C++ compiler here")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    torch._logging.set_logs(dynamo=logging.ERROR)
    return torch.__version__


def jax_found():
    try:
        return importlib.metadata.version("jax")
    except importlib.metadata.PackageNotFoundError:
        raise Missing("it is not installed here") from None


def ort_training_found(python):
    if python is None:
        raise Missing("--ort-training names no Python that has it")
    facts = "import importlib.metadata as m, onnx, torch; print(m.version('onnxruntime-training'))"
    done = subprocess.run([python, "-c", facts], capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{python}: {done.stderr.splitlines()[-1]}")
    return done.stdout.strip()


def training_peers(ort_python):
    """Those found here: {name: (function, version)}."""
    peers = {}
    for name, peer, find in [
        ("PyTorch", eager, lambda: torch.__version__),
        ("torch.compile", compiled, compiler_found),
        ("JAX jit", jax_jit, jax_found),
        ("ORT-training", ort_training(ort_python), lambda: ort_training_found(ort_python)),
    ]:
        try:
            peers[name] = (peer, find())
        except Missing as missing:
            print(f"{name} is left out: {missing}", file=sys.stderr)
    return peers
