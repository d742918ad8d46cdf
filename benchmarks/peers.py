#!/usr/bin/env python3
"""Times a run and a training step of the same models in onnxrun, PyTorch and ONNX Runtime, one
thread each, side by side: peers.py PATH/onnxrun_benchmarks [--update README.md] [--rounds N]

The three take turns, round after round, so that a change of the machine's speed meets all of them;
of each round's times the median counts. PyTorch runs eagerly, as its users' training loops do; ONNX
Runtime runs with inputs and outputs bound. A peer that is not installed is left out with a message.
Prints a table; with --update it also replaces the one in that file.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

from pages import update_page

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "corpus"

# Row: peer, and the share of the peer's time that ours may take.
GOALS = {
    "xor/run": ("ONNX Runtime", 1 / 4),
    "xor/train": ("PyTorch", 1 / 50),
}


def seconds_per_call(call, duration=0.5):
    for _ in range(20):
        call()
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < duration:
        for _ in range(20):
            call()
        count += 20
    return spent / count


def onnxrun_rows(program):
    done = subprocess.run(
        [program, "--benchmark_format=json", "--benchmark_min_time=0.3",
         "--benchmark_filter=/(run|train)$"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    rows = json.loads(done.stdout)["benchmarks"]
    return {row["name"]: row["real_time"] * scale[row["time_unit"]] for row in rows}


def torch_nets():
    """The nets of the stored models: (net, shape of its input, number of samples)."""
    from torch import nn

    class BiLstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(5, 8, num_layers=2, bidirectional=True, batch_first=True)
            self.fc = nn.Linear(16, 3)

        def forward(self, x):
            return self.fc(self.lstm(x)[0].mean(1))

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
            self.inp, self.head = nn.Linear(6, 16), nn.Linear(16, 3)
            self.enc = nn.TransformerEncoder(layer, 2)

        def forward(self, x):
            return self.head(self.enc(self.inp(x)).mean(1))

    xor = nn.Sequential(
        nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Sigmoid()
    )
    mnist = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    cnn = nn.Sequential(
        nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 5), nn.ReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip
    return {
        "xor": (xor, (2,), 1),
        "mnist_mlp": (mnist, (32, 28, 28), 32),
        "cnn": (cnn, (16, 1, 28, 28), 16),
        "bilstm": (BiLstm(), (8, 20, 5), 8),
        "transformer": (Encoder(), (6, 5, 6), 6),
    }


def torch_rows():
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    rows = {}
    for name, (net, shape, samples) in torch_nets().items():
        x, binary = torch.rand(shape), name == "xor"
        target = torch.zeros(samples, dtype=torch.float32 if binary else torch.int64)
        loss = functional.binary_cross_entropy if binary else functional.cross_entropy
        optimizer = torch.optim.SGD(net.parameters(), lr=0.001)

        def step():
            optimizer.zero_grad()
            loss(net(x), target).backward()
            optimizer.step()

        def run():
            with torch.inference_mode():
                net(x)

        rows[f"{name}/train"] = seconds_per_call(step)
        net.eval()
        rows[f"{name}/run"] = seconds_per_call(run)
    return rows


def ort_rows():
    import numpy as np
    import onnxruntime as ort

    cases = {
        "xor": ("s2_xor_bce_dyn", "x", (2,), "y", (1,)),
        "mnist_mlp": ("mlp_mnist_dyn", "image", (32, 28, 28), "logits", (32, 10)),
        "cnn": ("cnn_folded_dyn", "x", (16, 1, 28, 28), "y", (16, 10)),
        "bilstm": ("bilstm2_leg", "x", (8, 20, 5), "y", (8, 3)),
        "transformer": ("tenc_fresh_dyn", "x", (6, 5, 6), "y", (6, 3)),
    }
    rows = {}
    for name, (folder, input_name, input_shape, output_name, output_shape) in cases.items():
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        path = str(CORPUS / folder / "model.onnx")
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        x = ort.OrtValue.ortvalue_from_numpy(np.full(input_shape, 0.5, np.float32))
        y = ort.OrtValue.ortvalue_from_numpy(np.zeros(output_shape, np.float32))
        binding = session.io_binding()
        binding.bind_ortvalue_input(input_name, x)
        binding.bind_ortvalue_output(output_name, y)
        run_options = ort.RunOptions()
        rows[f"{name}/run"] = seconds_per_call(
            lambda: session.run_with_iobinding(binding, run_options)
        )
    return rows


def measure(program, rounds):
    peers = {"onnxrun": lambda: onnxrun_rows(program)}
    for label, module, rows in [
        ("PyTorch", "torch", torch_rows), ("ONNX Runtime", "onnxruntime", ort_rows),
    ]:  # fmt: skip
        try:
            __import__(module)
            peers[label] = rows
        except ImportError:
            print(f"{label} is left out: {module} is not installed here", file=sys.stderr)
    samples = {label: {} for label in peers}
    for _ in range(rounds):
        for label, rows in peers.items():
            for name, seconds in rows().items():
                samples[label].setdefault(name, []).append(seconds)
    return {
        label: {name: statistics.median(values) for name, values in rows.items()}
        for label, rows in samples.items()
    }


def table(results):
    ours, peers = results["onnxrun"], [p for p in results if p != "onnxrun"]
    header = ["", "onnxrun", *(f"{p} (times ours)" for p in peers), "goal"]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for name, seconds in ours.items():
        cells = [name, f"{seconds * 1e6:.2f} µs"]
        for peer in peers:
            theirs = results[peer].get(name)
            cells.append(f"{theirs * 1e6:.1f} µs ({theirs / seconds:.0f})" if theirs else "")
        goal = ""
        if name in GOALS:
            peer, share = GOALS[name]
            goal = f"1/{1 / share:.0f} of {peer}"
            if peer in results:
                goal += ": met" if seconds <= share * results[peer][name] else ": MISSED"
        lines.append("| " + " | ".join([*cells, goal]) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--update", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    text = table(measure(options.program, options.rounds))
    print(text)
    if options.update:
        update_page(options.update, "table", text)


if __name__ == "__main__":
    main()
