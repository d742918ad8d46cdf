"""onnxrun as the tables time it: as it is, with OpenBLAS's products, built for AVX2."""

import json
import os
import subprocess
import sys

OURS = "onnxrun"


class Onnxrun:
    def __init__(self, program, *options, environment=None):
        self.program = program
        self.options = options
        self.environment = os.environ | (environment or {})

    def run(self, *arguments):
        done = subprocess.run(
            [self.program, *map(str, arguments)],
            env=self.environment, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout

    def inputs(self, folder, count):
        return [part for i in range(count) for part in ("-i", f"x{i}={folder}/x{i}.npy")]

    def output_file(self, folder, count):
        out = folder / "y.npy"
        self.run(
            "run", folder / "model.onnx", *self.inputs(folder, count), *self.options, "-o", out
        )
        return out

    def losses(self, case, folder, batch):
        log = folder / "log.jsonl"
        data = [f"x0={folder}/x0.npy", f"target={folder}/target.npy"]
        self.run("train", folder / "model.onnx", "--data", data[0], "--data", data[1],
                 "--batch-axis", f"x0={case.batch_axis}", "--batch-size", batch, *case.options(),
                 "--epochs", 5, "--no-shuffle", "--log", log, "--log-every", 1, "-q",
                 *self.options, "-o", folder / "trained.onnx")  # fmt: skip
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        return [row["loss"] for row in rows if "step" in row][:5]

    def time(self, folder, count, *options):
        report = self.run("bench", folder / "model.onnx", *self.inputs(folder, count), *options,
                          *self.options, "--threads", 1, "--duration", "0.4s",
                          "--json")  # fmt: skip
        return json.loads(report)["latency_us"]["min"] * 1e-6

    def doctor(self):
        return json.loads(self.run("doctor", "--json"))


def openblas_core(kernels):
    """The environment in which OpenBLAS uses vectors as long as ours: it takes processors that are
    younger than itself for others."""
    core = {"AVX3": "SkylakeX", "AVX2": "Haswell"}.get(kernels[:4])
    return {"OPENBLAS_CORETYPE": core} if core else {}


def own_programs(program, avx2):
    """{column: program}, and {column: the kernels that it uses}."""
    programs = {OURS: Onnxrun(program)}
    kernels = {OURS: programs[OURS].doctor()["processor"]["kernels"]}
    environment = openblas_core(kernels[OURS])
    with_openblas = Onnxrun(program, "--products", "openblas", environment=environment)
    if found := with_openblas.doctor()["openblas"]:
        programs["OpenBLAS"] = with_openblas
        kernels["OpenBLAS"] = f"{found['version']} for {found['core']}"
    if avx2:
        programs["AVX2"] = Onnxrun(avx2)
        kernels["AVX2"] = programs["AVX2"].doctor()["processor"]["kernels"]
        if kernels["AVX2"] != "AVX2":
            sys.exit(f"{avx2} is no build for AVX2: its kernels use {kernels['AVX2']}")
    return programs, kernels
