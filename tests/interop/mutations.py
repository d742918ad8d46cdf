"""Damaged copies of valid files through the command: mutations.py ONNXRUN DATA FIRST LAST

Each runs in 4 GB of address space. Prints a line for every one that ends in another way than by a
result or one error line with a documented exit code, and counts at the end. Standard library only:
thousands of processes start from a small one.
"""

import collections
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile

DOCUMENTED = {0, 3, 4, 5, 6, 7, 8, 124}
ADDRESS_SPACE = 4 << 30


def valid_files(data):
    """Models that are small, so that a change mostly hits structure, and data files."""
    models = sorted(p for p in (data / "corpus").glob("*/model.onnx") if p.stat().st_size < 40_000)
    arrays = sorted(p for p in (data / "formats").iterdir() if p.stat().st_size < 40_000)
    return models, arrays


def damaged(content, rng):
    """A few changes: bytes, runs put in, taken out or copied, lengths, an early end."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if len(content) < 17:
            break
        at, length = rng.randrange(len(content)), rng.randint(1, 12)
        kind = rng.randrange(7)
        if kind == 0:
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            content[at] = rng.randrange(256)
        elif kind == 2:
            del content[at : at + length]
        elif kind == 3:
            source = rng.randrange(len(content))
            content[at:at] = content[source : source + length]
        elif kind == 4:
            content[at : at + length] = b"\xff" * length
        elif kind == 5:
            content[at] = rng.randrange(24)
        elif rng.randrange(4) == 0:
            del content[at + 8 :]
    return bytes(content)


def link(target, path):
    path.unlink(missing_ok=True)
    if target.exists():
        path.symlink_to(target)


def complaint(binary, args):
    """The exit code, and what is wrong with this end; "" if nothing."""
    done = subprocess.run([binary, *args], capture_output=True, timeout=120)
    text = done.stderr.decode(errors="replace")
    errors = [line for line in text.splitlines() if not line.startswith("onnxrun: warning: ")]
    good = done.returncode in DOCUMENTED and (
        done.returncode == 0 or len(errors) == 1 and errors[0].startswith("onnxrun: error: ")
    )
    return done.returncode, "" if good else f"exit code {done.returncode}: {text[-500:]}"


def main():
    # What is started has the limit, too.
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    binary, data, first, last = sys.argv[1], pathlib.Path(sys.argv[2]), *map(int, sys.argv[3:5])
    models, arrays = valid_files(data)
    limits = ["--timeout", "10s", "--max-memory", "256M", "--max-loop-iterations", "10000", "--threads", "1"]
    codes = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, last):
            rng = random.Random(seed)
            # One in five is a data file, for a model that would take any.
            if seed % 5 == 4:
                source = rng.choice(arrays)
                path = os.path.join(folder, source.name)
                args = ["run", str(data.parent.parent / "examples/models/xor.onnx"), "-i", f"x={path}"]
            else:
                source = rng.choice(models)
                path = os.path.join(folder, "model.onnx")
                link(source.with_name("model.onnx.data"), pathlib.Path(folder, "model.onnx.data"))
                args = ["run", path, "--random", "--external-data", str(source.parent)]
            pathlib.Path(path).write_bytes(damaged(source.read_bytes(), rng))
            code, wrong = complaint(binary, [*args, *limits])
            codes[code] += 1
            if wrong:
                print(f"seed {seed} ({source}): {wrong}", flush=True)
            os.unlink(path)
    print("counts", *(f"{code}:{count}" for code, count in sorted(codes.items())))


main()
