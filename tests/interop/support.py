"""What the interop tests share: the command as a function, and comparisons that say where and what."""

import fcntl
import json
import subprocess

import numpy as np


class Tool:
    """The onnxrun command, with a temporary directory of its own."""

    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = directory
        self._files = 0

    def path(self, suffix):
        """A fresh path in the temporary directory."""
        self._files += 1
        return self.directory / f"{self._files}{suffix}"

    def __call__(self, *args, code=0):
        """Runs `onnxrun ARGS`, demands the exit code, and returns standard output."""
        done = subprocess.run(
            [str(self.binary), *map(str, args)], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == code, (
            f"onnxrun {' '.join(map(str, args))}\nexit code {done.returncode}, expected {code}\n"
            f"{done.stderr.strip()[-2000:]}"
        )
        return done.stdout

    def build(self, target):
        """Builds a target where the command was built, one at a time; gives that folder."""
        folder = self.binary.parent
        with open(folder / "interop.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            subprocess.run(
                ["cmake", "--build", str(folder), "--target", target], check=True, capture_output=True
            )
        return folder

    def save(self, arrays):
        """The arrays as an .npz; names that are no Python identifiers are fine."""
        path = self.path(".npz")
        np.savez(path, **arrays)
        return path

    def run(self, model, inputs, *options):
        """Outputs by name for inputs by name."""
        out = self.path(".npz")
        self("run", model, "-i", self.save(inputs), "-o", out, *options)
        with np.load(out) as arrays:
            return dict(arrays)

    def gradients(self, model, inputs, *options):
        """Gradients by the names of their tensors."""
        out = self.path(".npz")
        self("grad", model, "-i", self.save(inputs), "-o", out, *options)
        with np.load(out) as arrays:
            return dict(arrays)

    def train(self, model, batches, target, *options):
        """Trains on prebatched data, one step a batch and in their order.

        `batches` maps model inputs to arrays whose first axis counts the batches, `target` likewise
        (None if the model's own output is the loss). Returns the trained file and the losses.
        """
        data = dict(batches)
        if target is not None:
            data["target"] = target
        out, log = self.path(".onnx"), self.path(".jsonl")
        self(
            "train", model, "--data", self.save(data), "--prebatched", "--no-shuffle",
            "--epochs", 1, "--log", log, "--log-every", 1, "-q", "-o", out, *options,
        )  # fmt: skip
        return out, [json.loads(line)["loss"] for line in log.read_text().splitlines()]


def distance(actual, expected):
    """max |a - b| / max |b| over a tensor."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if expected.size == 0:
        return 0.0
    scale = np.max(np.abs(expected.astype(np.float64))) or 1.0
    return np.max(np.abs(actual.astype(np.float64) - expected.astype(np.float64))) / scale


def expect_near(what, actual, expected, tolerance):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    if not np.issubdtype(expected.dtype, np.number):
        assert np.array_equal(actual, expected), f"{what}: {actual}, expected {expected}"
        return
    found = distance(actual, expected)
    assert found <= tolerance, (  # also false for NaN
        f"{what}: relative distance {found:.3g}, allowed {tolerance:.3g}\n"
        f"found    {actual.ravel()[:8]}\nexpected {expected.ravel()[:8]}"
    )


def ort_run(model, inputs):
    """Outputs by name, as ONNX Runtime computes them without its own rewrites."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def ort_optimize(path, out, level):
    """Writes the file as ONNX Runtime rewrites it for itself: level basic, extended or all."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level.upper()}")
    options.optimized_model_filepath = str(out)
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def initializers(model):
    """The stored tensors of a file by name, external data included."""
    import onnx
    from onnx import numpy_helper

    message = onnx.load(str(model))
    return {t.name: numpy_helper.to_array(t) for t in message.graph.initializer}
