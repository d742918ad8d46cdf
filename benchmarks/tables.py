#!/usr/bin/env python3
"""Times the nets of nets.py in onnxrun and in the peers that are installed, one thread each:
tables.py PATH/onnxrun [--update README.md] [--json FILE] [--rounds N] [PATTERN...]

Models are exported afresh. Before anything is timed, results are compared: the losses of the first
five steps, or the outputs. Then all take turns, round after round; of each round's best times the
best counts. PyTorch runs eagerly; ONNX Runtime and OpenVINO with their inputs bound.

A row's floor is what its products and its memory take at least at what onnxrun_peak, beside the
program, measures: multiplications at the peak, inputs, outputs, weights and their state once at the
speed of copying four megabytes. What is not a product is not counted.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

try:
    import nets
    import numpy as np
    import torch
    from torch.utils.flop_counter import FlopCounterMode
except ImportError as missing:
    sys.exit(f"the tables of larger nets are left out: {missing}")


def best_time(call, duration=0.4):
    call()
    best, end = float("inf"), time.perf_counter() + duration
    while (began := time.perf_counter()) < end:
        call()
        best = min(best, time.perf_counter() - began)
    return best


class Onnxrun:
    def __init__(self, program):
        self.program = program

    def run(self, *arguments):
        done = subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout

    def inputs(self, folder, count):
        return [part for i in range(count) for part in ("-i", f"x{i}={folder}/x{i}.npy")]

    def time(self, folder, count, *options):
        report = self.run("bench", folder / "model.onnx", *self.inputs(folder, count), *options,
                          "--threads", 1, "--duration", "0.4s", "--json")  # fmt: skip
        return json.loads(report)["latency_us"]["min"] * 1e-6


class Peaks:
    def __init__(self, program):
        peak = program.with_name("onnxrun_peak")
        self.found = json.loads(subprocess.check_output([peak])) if peak.exists() else None

    def floor(self, operations, bytes_moved, kind="float"):
        if self.found is None or not operations + bytes_moved:
            return None
        return max(operations / self.found[f"{kind}_operations"], bytes_moved / self.found["bytes"])


def recurrent_products(weights, recurrences):
    """Of a layer that the counter does not know: so many products with either matrix a step."""

    def count(x, w, r, *_, **__):
        return 2 * x[0] * x[1] * (weights * w[0] * w[1] + recurrences * r[0] * r[1])

    return count


# The gradient of a layer's input may not be wanted.
OTHER_PRODUCTS = {
    torch.ops.aten.mkldnn_rnn_layer: recurrent_products(1, 1),
    torch.ops.aten.mkldnn_rnn_layer_backward: recurrent_products(1, 2),
}


def size_of(*tensors):
    return sum(t.numel() * t.element_size() for t in tensors)


def training_floor(peaks, step, net, optimizer, inputs):
    with FlopCounterMode(display=False, custom_mapping=OTHER_PRODUCTS) as counter:
        step()
    state = [t for slots in optimizer.state.values() for t in slots.values() if torch.is_tensor(t)]
    moved = size_of(*inputs) + 2 * size_of(*net.parameters(), *state)
    return peaks.floor(counter.get_total_flops(), moved)


def inference_floor(peaks, onnxrun, folder, inputs, output, net):
    cost = json.loads(onnxrun.run("inspect", folder / "model.onnx", "--json"))["cost"]
    moved = output.nbytes + sum(x.nbytes for x in inputs.values()) + size_of(*net.parameters())
    return peaks.floor(cost["flops"], moved, "double" if output.dtype == np.float64 else "float")


def torch_step(case, net, optimizer, x, target):
    loss_of = case.torch_loss()

    def step():
        optimizer.zero_grad()
        loss = loss_of(net(x), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def losses(onnxrun, case, folder):
    log = folder / "log.jsonl"
    data = [f"x0={folder}/x0.npy", f"target={folder}/target.npy"]
    batch = len(np.load(folder / "target.npy"))
    onnxrun.run("train", folder / "model.onnx", "--data", data[0], "--data", data[1],
                "--batch-axis", f"x0={case.batch_axis}", "--batch-size", batch, *case.options(),
                "--epochs", 5, "--no-shuffle", "--log", log, "--log-every", 1, "-q",
                "-o", folder / "trained.onnx")  # fmt: skip
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [row["loss"] for row in rows if "step" in row][:5]


def check(name, ours, theirs, tolerance=2e-4):
    if not np.allclose(ours, theirs, rtol=tolerance, atol=tolerance):
        worst = np.max(np.abs(np.asarray(ours) - np.asarray(theirs)))
        sys.exit(f"{name}: results differ by {worst}; nothing is timed")


def training_row(onnxrun, peaks, case, folder, rounds):
    torch.manual_seed(0)
    net, x, target = case.net(), case.x(), case.target()
    nets.export(net, (x,), folder, training=True)
    np.save(folder / "target.npy", target.numpy())
    net.train()
    optimizer = case.torch_optimizer(net)
    step = torch_step(case, net, optimizer, x, target)
    check(case.name, losses(onnxrun, case, folder), [step() for _ in range(5)])
    target_option = ["--target", f"{folder}/target.npy"]
    times = {"onnxrun": [], "PyTorch": []}
    for _ in range(rounds):
        times["onnxrun"].append(onnxrun.time(folder, 1, "--train", *target_option, *case.options()))
        times["PyTorch"].append(best_time(step))
    floor = training_floor(peaks, step, net, optimizer, (x, target))
    return floor, {peer: min(values) for peer, values in times.items()}


def ort_call(folder, inputs):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, inputs)[0]
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value))
    binding.bind_ortvalue_output(
        "y", onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros_like(expected))
    )
    return expected, lambda: session.run_with_iobinding(binding)


def openvino_call(folder, inputs):
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(folder / "model.onnx"), "CPU", settings)
    request = model.create_infer_request()
    for i, value in enumerate(inputs.values()):
        request.set_input_tensor(i, openvino.Tensor(value, shared_memory=True))
    request.infer()
    return request.get_output_tensor(0).data.copy(), request.infer


def inference_row(onnxrun, peaks, case, folder, rounds, peers):
    torch.manual_seed(0)
    net = case.net()
    nets.export(net, case.inputs, folder)
    inputs = {f"x{i}": x.numpy() for i, x in enumerate(case.inputs)}
    onnxrun.run(
        "run", folder / "model.onnx", *onnxrun.inputs(folder, len(inputs)), "-o", folder / "y.npy"
    )
    ours, calls = np.load(folder / "y.npy"), {}
    for peer, make in peers.items():
        expected, calls[peer] = make(folder, inputs)
        check(f"{case.name} in {peer}", ours, expected, 1e-3)
    times = {"onnxrun": []}
    for _ in range(rounds):
        times["onnxrun"].append(onnxrun.time(folder, len(inputs)))
        for peer, call in calls.items():
            times.setdefault(peer, []).append(best_time(call))
    floor = inference_floor(peaks, onnxrun, folder, inputs, ours, net)
    return floor, {peer: min(values) for peer, values in times.items()}


def inference_peers():
    peers = {}
    for label, module, make in [
        ("ONNX Runtime", "onnxruntime", ort_call), ("OpenVINO", "openvino", openvino_call),
    ]:  # fmt: skip
        try:
            __import__(module)
            peers[label] = make
        except ImportError:
            print(f"{label} is left out: it is not installed here", file=sys.stderr)
    return peers


def microseconds(seconds):
    us = seconds * 1e6
    return f"{us:,.2f}" if us < 100 else f"{us:,.0f}"


def table(title, rows):
    peers = list(dict.fromkeys(p for row in rows for p in row[-1] if p != "onnxrun"))
    lines = [f"| {title}, µs | onnxrun | {' | '.join(peers)} | ours / best | goal | | floor |",
             "|---" * (len(peers) + 6) + "|"]  # fmt: skip
    for name, goal, floor, times in rows:
        others = [times[p] for p in peers if p in times]
        ratio = times["onnxrun"] / min(others) if others else None
        cells = [microseconds(times[p]) if p in times else "" for p in peers]
        reached = "" if ratio is None else "reached" if ratio <= goal else "not reached"
        shown = "" if ratio is None else f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"
        lines.append(
            f"| {name} | {microseconds(times['onnxrun'])} | {' | '.join(cells)} "
            f"| {shown} | {goal} | {reached} | {microseconds(floor) if floor else ''} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--update", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    program = options.program.resolve()
    onnxrun, peaks, peers = Onnxrun(program), Peaks(program), inference_peers()

    def wanted(case):
        return not options.patterns or any(p in case.name for p in options.patterns)

    training, inference = [], []
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for case in filter(wanted, nets.TRAINING):
            row = training_row(onnxrun, peaks, case, work / nets.slug(case.name), options.rounds)
            training.append((case.name, case.goal, *row))
        for case in filter(wanted, nets.INFERENCE):
            folder = work / nets.slug(case.name)
            row = inference_row(onnxrun, peaks, case, folder, options.rounds, peers)
            inference.append((case.name, case.goal, *row))
    tables = [table(*t) for t in (("training step", training), ("inference", inference)) if t[1]]
    text = "\n\n".join(tables)
    print(text)
    if options.json:
        rows = [dict(name=n, goal=g, floor=f, seconds=t) for n, g, f, t in training + inference]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.update:
        page = re.sub(r"(<!-- larger -->\n).*(\n<!-- /larger -->)", lambda m: m[1] + text + m[2],
                      options.update.read_text(), flags=re.S)  # fmt: skip
        options.update.write_text(page)


if __name__ == "__main__":
    main()
