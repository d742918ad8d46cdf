#!/usr/bin/env python3
"""Kills trainings at random moments and resumes them: kill-trainings.py PATH/onnxrun [KILLS [SEED]]

Each training is started again and again with --resume, on one or two threads, and ended with SIGKILL
after a random time, until it finishes. The model that it writes and the losses of its log must then
be those of a training that nobody disturbed, to the byte. Goes on until KILLS (200) processes were
killed. Exit code 1 if a file differs. Needs nothing but Python.
"""

import pathlib
import random
import subprocess
import sys
import tempfile

CORPUS = pathlib.Path(__file__).parent.parent / "tests" / "data" / "corpus"
XOR = ["--data", "x=[[0,0],[0,1],[1,0],[1,1]]", "--data", "target=[[0],[1],[1],[0]]", "--val-split", "0.5"]
# Batch norms with running statistics, and a metric that is collected over an epoch; Dropout; steps
# and epochs that take microseconds.
NETS = [
    ("resnet_bn_leg", None, "3s", ["--epochs", "6", "--metrics", "mae"]),
    ("cnn_training_leg", None, "2s", ["--epochs", "40", "--lr-schedule", "cosine"]),
    ("s2_xor_bce_dyn", XOR, "10", ["--epochs", "3000", "--ema", "0.9"]),
    ("s2_xor_bce_dyn", XOR, "7s", ["--epochs", "500", "--early-stop", "loss", "--patience", "3000"]),
]


def data_of(tool, folder, name):
    """Random inputs of the net, and its own answers to others as targets."""
    model, data = CORPUS / name / "model.onnx", folder / f"{name}.npz"
    target = folder / f"{name}.target.npz"
    classes = "float[16,10]" in run(tool, "inspect", model).stdout
    batch = [] if classes else ["--dim", "N=16"]
    run(tool, "run", model, "--random", *batch, "--outputs", "x", "-o", data)
    run(tool, "run", model, "--random", *batch, "--seed", 1, "--outputs", "y", "-o", target)
    size = 16 if classes else 4
    return ["--data", f"x={data}:x", "--target", f"{target}:y", "--batch-size", str(size), "--loss", "mse"]


def run(tool, *args):
    return subprocess.run([tool, *map(str, args)], check=True, capture_output=True, text=True)


def losses(log):
    return [line.split(",")[:4] for line in log.read_text().splitlines()]


def main():
    tool, kills = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    killed = resumed = trainings = 0
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        whole = []
        for k, (name, data, every, options) in enumerate(NETS):
            data = data or data_of(tool, folder, name)
            command = ["train", CORPUS / name / "model.onnx", *data, "--optimizer", "adam", *options]
            out, log = folder / f"whole{k}.onnx", folder / f"whole{k}.csv"
            run(tool, *command, "--log", log, "-o", out, "-q")
            whole.append((command, every, out, log))
        while killed < kills:
            command, every, expected, expected_log = whole[trainings % len(whole)]
            trainings += 1
            out, log = folder / f"t{trainings}.onnx", folder / f"t{trainings}.csv"
            checkpoints = folder / f"t{trainings}.checkpoints"
            while True:
                process = subprocess.Popen(
                    [tool, *map(str, command), "--log", log, "-o", out, "-q", "--resume",
                     "--checkpoint-dir", checkpoints, "--save-every", every, "--threads", str(rng.choice([1, 2]))]
                )  # fmt: skip
                try:
                    code = process.wait(rng.uniform(0, 0.25))
                    assert code == 0, f"exit code {code}"
                    break
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    killed += 1
                    resumed += any(checkpoints.glob("step-*.npz")) if checkpoints.exists() else 0
            assert out.read_bytes() == expected.read_bytes(), f"another model: {command}"
            for k, (row, expected_row) in enumerate(zip(losses(log), losses(expected_log))):
                assert row == expected_row, f"row {k} of the log is {row}, not {expected_row}"
            assert len(losses(log)) == len(losses(expected_log)), "rows are missing"
    print(f"{killed} kills ({resumed} with a checkpoint there), {trainings} trainings: all files equal")


if __name__ == "__main__":
    main()
