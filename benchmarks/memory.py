#!/usr/bin/env python3
"""Memory of a training step, here and in PyTorch: memory.py PATH/onnxrun [NAME...]

Of the nets of nets.py with real work, each in a process of its own: the largest resident size while
it trains, less what the program has before it knows the net. The goal is half of PyTorch's.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import time

try:
    import nets
    import numpy as np
    import torch
except ImportError as missing:
    sys.exit(f"memory of training steps is left out: {missing}")

from training_peers import torch_step

GOAL = 0.5
SMALL = ("XOR", "classifier", "T 23")


def status(pid, field):
    """Bytes that /proc/PID/status names; None once the process is over."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)


def peak_of(*command):
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    peak = 0
    while child.poll() is None:
        peak = max(peak, status(child.pid, "VmHWM") or 0)
        time.sleep(0.005)
    if child.returncode:
        sys.exit(f"{command[0]} fails")
    return peak


def train(case):
    step, _ = torch_step(case, case.net().train(), case.x(), case.target())
    for _ in range(10):
        step()


def torch_bytes(case):
    """In this process, which has not trained yet."""
    torch.set_num_threads(1)
    # What PyTorch loads when it is first used is no memory of this net.
    train(dataclasses.replace(nets.TRAINING[2], optimizer=case.optimizer))
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = status("self", "VmRSS")
    train(case)
    return status("self", "VmHWM") - before


def training_peak(program, case, folder):
    torch.manual_seed(0)
    nets.export(case.net(), (case.x(),), folder, training=True)
    np.save(folder / "target.npy", case.target().numpy())
    return peak_of(program, "bench", folder / "model.onnx", "-i", f"x0={folder}/x0.npy", "--train",
                   "--target", f"{folder}/target.npy", *case.options(), "--threads", 1,
                   "--duration", "0.2s")  # fmt: skip


def onnxrun_bytes(program, case, folder):
    tiny = dataclasses.replace(nets.TRAINING[2], optimizer=case.optimizer)
    before = training_peak(program, tiny, folder / "tiny")
    return training_peak(program, case, folder) - before


def main():
    if sys.argv[1] == "--torch":
        case = next(c for c in nets.TRAINING if c.name == sys.argv[2])
        print(json.dumps(torch_bytes(case)))
        return
    program, wanted = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    print("| memory of a training step, MB | onnxrun | PyTorch | ours / PyTorch | goal | |")
    print("|---|---|---|---|---|---|")
    for case in nets.TRAINING:
        if any(part in case.name for part in SMALL) or not any(w in case.name for w in wanted or [""]):
            continue
        with tempfile.TemporaryDirectory() as folder:
            ours = onnxrun_bytes(program, case, pathlib.Path(folder))
        theirs = json.loads(subprocess.check_output([sys.executable, __file__, "--torch", case.name]))
        reached = "reached" if ours <= GOAL * theirs else "not reached"
        print(f"| {case.name} | {ours / 1e6:.1f} | {theirs / 1e6:.1f} | {ours / theirs:.2f} | {GOAL} | {reached} |")


if __name__ == "__main__":
    main()
