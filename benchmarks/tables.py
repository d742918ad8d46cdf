#!/usr/bin/env python3
"""Times the nets of nets.py in onnxrun and in the peers that are found, one thread each:
tables.py PATH/onnxrun [--avx2 PATH/onnxrun] [--ort-training PYTHON] [--update README.md]
          [--json FILE] [--rounds N] [PATTERN...]

Models are exported afresh. Before anything is timed, results are compared: the losses of the first
five steps, or the outputs; whoever's differ is not timed, and the exit status is 1. Then all take
turns, round after round; of each round's best times the best counts. Compiling is not timed. ONNX
Runtime and OpenVINO run with their inputs bound. An empty cell has its reason on stderr.

onnxrun has a column for each of its own kinds: as it is; with --products openblas in rows whose
products are large enough to go there; and a build whose kernels use AVX2 at most. "ours" is the
first.

A row's floor is what its products and its memory take at least at what onnxrun_peak, beside the
program, measures: multiplications at the peak, inputs, outputs, weights and their state once at the
speed of copying four megabytes. What is not a product is not counted.
"""

import argparse
import contextlib
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import nets
    import numpy as np
    import torch
    from inference_peers import inference_peers
    from own_programs import OURS, own_programs
    from torch.utils.flop_counter import FlopCounterMode
    from training_peers import Job, eager_step, torch_step, training_peers
except ImportError as missing:
    sys.exit(f"the tables of larger nets are left out: {missing}")
from pages import update_page
from timing import Missing


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


def training_floor(peaks, job):
    net = copy.deepcopy(job.net)
    step, optimizer = torch_step(job.case, net, job.x, job.target)
    with FlopCounterMode(display=False, custom_mapping=OTHER_PRODUCTS) as counter:
        step()
    state = [t for slots in optimizer.state.values() for t in slots.values() if torch.is_tensor(t)]
    moved = size_of(job.x, job.target) + 2 * size_of(*net.parameters(), *state)
    return peaks.floor(counter.get_total_flops(), moved)


def inference_floor(peaks, onnxrun, folder, inputs, output, net):
    cost = json.loads(onnxrun.run("inspect", folder / "model.onnx", "--json"))["cost"]
    moved = output.nbytes + sum(x.nbytes for x in inputs.values()) + size_of(*net.parameters())
    return peaks.floor(cost["flops"], moved, "double" if output.dtype == np.float64 else "float")


class Row:
    """The turns of one row: whoever agrees takes part."""

    def __init__(self, name, expected, tolerance):
        self.name, self.expected, self.tolerance = name, expected, tolerance
        self.calls, self.differences = {}, []

    def add(self, label, result, call):
        if np.allclose(result, self.expected, rtol=self.tolerance, atol=self.tolerance):
            self.calls[label] = call
            return
        worst = np.max(np.abs(np.asarray(result) - np.asarray(self.expected)))
        self.differences.append(f"{self.name}: {label} differs by {worst:.1e} and is not timed")
        print(self.differences[-1], file=sys.stderr)

    def add_peers(self, peers, *arguments):
        for label, (peer, _) in peers.items():
            try:
                self.add(label, *peer(*arguments))
            except Missing as missing:
                print(f"{self.name}: {label} is left out: {missing}", file=sys.stderr)

    def times(self, rounds):
        best = dict.fromkeys(self.calls, float("inf"))
        for _ in range(rounds):
            for label, call in self.calls.items():
                best[label] = min(best[label], call())
        return best


def takes_part(label, case):
    return label != "OpenBLAS" or case.large_products


def training_row(programs, peers, peaks, case, folder, rounds):
    torch.manual_seed(0)
    net, x, target = case.net(), case.x(), case.target()
    nets.export(net, (x,), folder, training=True)
    np.save(folder / "target.npy", target.numpy())
    net.train()
    options = ("--train", "--target", folder / "target.npy", *case.options())
    with contextlib.ExitStack() as ending:
        job = Job(case, net, x, target, folder, ending)
        step = eager_step(job)
        row = Row(case.name, [step() for _ in range(5)], 2e-4)
        for label, program in programs.items():
            if takes_part(label, case):
                row.add(label, program.losses(case, folder, len(target)),
                        lambda program=program: program.time(folder, 1, *options))  # fmt: skip
        row.add_peers(peers, job)
        return row, training_floor(peaks, job), row.times(rounds)


def inference_row(programs, peers, peaks, case, folder, rounds):
    torch.manual_seed(0)
    net = case.net()
    nets.export(net, case.inputs, folder)
    inputs = {f"x{i}": x.numpy() for i, x in enumerate(case.inputs)}
    with torch.inference_mode():
        expected = net(*case.inputs).numpy()
    row = Row(case.name, expected, 1e-9 if expected.dtype == np.float64 else 1e-3)
    for label, program in programs.items():
        if takes_part(label, case):
            row.add(label, np.load(program.output_file(folder, len(inputs))),
                    lambda program=program: program.time(folder, len(inputs)))  # fmt: skip
    row.add_peers(peers, folder / "model.onnx", inputs)
    floor = inference_floor(peaks, programs[OURS], folder, inputs, expected, net)
    return row, floor, row.times(rounds)


def microseconds(seconds):
    us = seconds * 1e6
    return f"{us:,.2f}" if us < 100 else f"{us:,.0f}"


def compared(times, peers, goal):
    others = [times[p] for p in peers if p in times]
    if not others or OURS not in times:
        return "", ""
    ratio = times[OURS] / min(others)
    shown = f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"
    return shown, "reached" if ratio <= goal else "not reached"


def versions(columns, kernels, peers):
    ours = ", ".join(f"{c}: {kernels[c]}" for c in columns if c in kernels)
    theirs = ", ".join(f"{c} {peers[c][1]}" for c in columns if c in peers)
    return f"Kernels of {ours}. {theirs}."


def table(title, kernels, peers, rows):
    timed = {label for _, _, times in rows for label in times}
    columns = [label for label in (*kernels, *peers) if label in timed]
    lines = [f"| {title}, µs | {' | '.join(columns)} | ours / best | goal | | floor |",
             "|---" * (len(columns) + 5) + "|"]  # fmt: skip
    for case, floor, times in rows:
        cells = [microseconds(times[c]) if c in times else "" for c in columns]
        ratio, reached = compared(times, peers, case.goal)
        lines.append(
            f"| {case.name} | {' | '.join(cells)} | {ratio} | {case.goal} | {reached} "
            f"| {microseconds(floor) if floor else ''} |"
        )
    return "\n".join([*lines, "", versions(columns, kernels, peers)])


def parsed_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--avx2", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--ort-training")
    parser.add_argument("--update", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_intermixed_args()


def main():
    options = parsed_options()
    torch.set_num_threads(1)
    program = options.program.resolve()
    programs, kernels = own_programs(program, options.avx2)
    peaks = Peaks(program)

    def wanted(case):
        return not options.patterns or any(p in case.name for p in options.patterns)

    kinds = [
        ("training step", nets.TRAINING, training_row, training_peers(options.ort_training)),
        ("inference", nets.INFERENCE, inference_row, inference_peers()),
    ]
    tables, report, differences = [], [], []
    for title, cases, measure, peers in kinds:
        rows = []
        for case in filter(wanted, cases):
            with tempfile.TemporaryDirectory() as work:
                row, floor, times = measure(
                    programs, peers, peaks, case, pathlib.Path(work), options.rounds
                )
            differences += row.differences
            rows.append((case, floor, times))
            report.append(dict(name=case.name, goal=case.goal, floor=floor, seconds=times))
        if rows:
            tables.append(table(title, kernels, peers, rows))
    text = "\n\n".join(tables)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.update:
        update_page(options.update, "larger", text)
    if differences:
        sys.exit("\n".join(["results differ:", *differences]))


if __name__ == "__main__":
    main()
