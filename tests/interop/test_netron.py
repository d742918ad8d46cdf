"""What the command writes opens in Netron (its Python package, run by node, without a browser) and
passes the checker of onnx."""

import importlib.util
import json
import pathlib
import shutil
import subprocess

import numpy as np
import onnx

from test_corpus import CORPUS, batches_of, graph_of, training_options

HERE = pathlib.Path(__file__).parent
CONVERSIONS = {
    "external": ["--store", "external"],
    "inline": ["--store", "inline"],
    "folded": ["--fold"],
    "half": ["--to", "float16", "--keep-io"],
    "double": ["--to", "float64"],
    "newer": ["--opset", "23"],
}
# Refused where there is no such type or opset: exit code 4.
MAY_BE_REFUSED = {"half", "double", "newer"}


def netron(tool, files):
    """Opens the files, all tensors of all graphs in them; returns the lines that tell of them."""
    # Node takes these for modules only where a package says so.
    package = pathlib.Path(importlib.util.find_spec("netron").origin).parent
    modules = tool.directory / "netron"
    modules.mkdir(exist_ok=True)
    for source in [*package.glob("*.js"), package / "onnx-metadata.json"]:
        shutil.copy(source, modules)
    (modules / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(
        ["node", HERE / "netron_open.mjs", modules, *files], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.strip()[-3000:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(files), f"{len(lines)} of {len(files)} files opened"
    return lines


def passes_checker(path):
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:
        return str(error).splitlines()[0]
    return ""


def check_all(tool, files):
    """`files`: what was written, and the file it was made from; whose faults it may keep."""
    failed = {path: passes_checker(path) for path in files}
    faults = [f"{files[p]} -> {p}: {why}" for p, why in failed.items() if why and not passes_checker(files[p])]
    assert not faults, "\n".join(faults)
    netron(tool, list(files))


def supported():
    return map(CORPUS.joinpath, (CORPUS / "supported.txt").read_text().split())


def test_netron_is_asked(tool):
    """A file that is damaged does not open."""
    broken = tool.path(".onnx")
    model = onnx.load(str(CORPUS / "s2_xor_bce_dyn" / "model.onnx"))
    model.graph.initializer[0].data_type = 99
    onnx.save(model, str(broken))
    try:
        netron(tool, [broken])
    except AssertionError:
        return
    raise AssertionError("Netron opens anything")


def test_converted(tool):
    files, refused = {}, 0
    for folder in supported():
        for name, options in CONVERSIONS.items():
            out = tool.directory / f"{folder.name}.{name}.onnx"
            command = [tool.binary, "convert", folder / "model.onnx", *options, "-o", out]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=100)
            if done.returncode == 4 and name in MAY_BE_REFUSED:
                refused += 1
                continue
            assert done.returncode == 0, f"{command}\n{done.stderr[-1000:]}"
            files[out] = folder / "model.onnx"
    assert refused < len(files) / 3, f"{refused} conversions refused, {len(files)} not"
    check_all(tool, files)


def test_trained_and_steps(tool):
    files = {}
    for folder in supported():
        if not (folder / "train").is_dir():
            continue
        model = folder / "model.onnx"
        about = json.loads((folder / "train" / "train.json").read_text())
        output = graph_of(folder).output[about["output_index"]].name
        batches, targets = batches_of(folder, about)
        options = training_options(folder, about, output)
        trained, _ = tool.train(model, batches, targets, *options, "--max-steps", 1, "--unshare", "never")
        step = tool.directory / f"{folder.name}.step.onnx"
        target = []
        if targets is not None:
            np.save(tool.directory / "target.npy", targets[0])
            target = ["--target", tool.directory / "target.npy"]
        tool("grad", model, *options, *target, "--emit", step)
        files[trained] = files[step] = model
    check_all(tool, files)
