#!/usr/bin/env python3
"""Trains on an array that is larger than the memory it may take: stream-training.py PATH/onnxrun [GB]

Writes GB (3) of pictures as .npy into the temporary directory, trains the digits net on one pass over
them, and deletes them again. Prints the most memory that the process had, and how long steps waited
for the file. Exit code 1 above 500 MB or 5 %. Needs nothing but Python.
"""

import array
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent
PICTURE = 28 * 28


def header(kind, shape):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (63 - (10 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def write(folder, count):
    rng = random.Random(1)
    block = array.array("f", (rng.random() for _ in range(1000 * PICTURE))).tobytes()
    with open(folder / "x.npy", "wb") as file:
        file.write(header("<f4", (count, 28, 28)))
        for first in range(0, count, 1000):
            file.write(block[: min(1000, count - first) * PICTURE * 4])
    with open(folder / "y.npy", "wb") as file:
        file.write(header("<i8", (count,)))
        file.write(array.array("q", (rng.randrange(10) for _ in range(count))).tobytes())


def main():
    size = float(sys.argv[2]) if len(sys.argv) > 2 else 3
    count = int(size * 1e9 / (4 * PICTURE))
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        write(folder, count)
        done = subprocess.run(
            [sys.argv[1], "train", ROOT / "examples" / "models" / "digits.onnx", "--data", f"x={folder}/x.npy",
             "--data", f"target={folder}/y.npy", "--stream", "always", "--batch-size", "64", "--optimizer",
             "adam", "--json", "-q", "-o", folder / "out.onnx"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        file_size = os.path.getsize(folder / "x.npy")
    result = json.loads(done.stdout)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    waited = result["waited"] / result["seconds"]
    print(
        f"{file_size / 1e9:.2f} GB, {result['steps']} steps in {result['seconds']:.1f} s: "
        f"{memory:.0f} MiB at most, waited {result['waited']:.2f} s ({100 * waited:.1f} %)"
    )
    sys.exit(memory > 500 or waited > 0.05)


if __name__ == "__main__":
    main()
