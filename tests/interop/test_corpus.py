"""Stored real files: outputs, training and gradients as their folders record them.

tests/data/corpus/README.md describes the folders and says how near is right.
"""

import json
import pathlib

import numpy as np
import onnx
from onnx import numpy_helper

from support import distance, expect_near, initializers, ort_run

CORPUS = pathlib.Path(__file__).parent.parent / "data" / "corpus"

OPTIMIZER_OPTIONS = {
    "lr": "--lr",
    "momentum": "--momentum",
    "weight_decay": "--weight-decay",
    "eps": "--eps",
    "alpha": "--alpha",
}


def read_pb(path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def read_npz(path):
    with np.load(path) as arrays:
        return dict(arrays)


def graph_of(folder):
    return onnx.load(str(folder / "model.onnx"), load_external_data=False).graph


def graph_inputs(folder):
    graph = graph_of(folder)
    stored = {t.name for t in graph.initializer}
    return [i.name for i in graph.input if i.name not in stored]


def numbers(array):
    """In double; numpy has no bfloat16, whose bits a .npz holds as two bytes of no type."""
    if array.dtype.kind == "V" and array.dtype.itemsize == 2:
        array = (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float64)


def near(what, actual, expected, rtol, atol):
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    if actual.dtype.kind in "OUSb":
        assert np.array_equal(actual, expected), what
    else:
        np.testing.assert_allclose(
            numbers(actual), numbers(expected), rtol, atol, err_msg=what
        )


def check_run(tool, folder):
    case = json.loads((folder / "case.json").read_text())
    for data in sorted(folder.glob("test_data_set_*")):
        inputs = inputs_of(folder, data)
        outputs = tool.run(folder / "model.onnx", inputs)
        for i, (name, value) in enumerate(outputs.items()):
            if name not in case["nondeterministic_outputs"]:
                wanted = read_pb(data / f"output_{i}.pb")
                near(f"{data.name} {name}", value, wanted, case["rtol"], case["atol"])


# The first seed program's fault: a target that broadcasts.
BROADCASTS = {"s0_nand_f64_bcast_bug"}
# What random numbers are multiplied with has a gradient of random numbers.
RANDOM_GRADIENTS = {("vae_elbo_dyn", "temperature")}


def training_options(folder, about, output):
    loss, optimizer = about["loss"], dict(about["optimizer"])
    name = {"adam_keras": "keras:adam"}.get(optimizer["name"], optimizer["name"])
    if name == "sgd" and optimizer.get("momentum"):
        name = "nesterov" if optimizer.get("nesterov") else "momentum"
    target = f"{output}={loss['name']}" if loss["name"] != "output" else "output"
    options = ["--loss", target, "--optimizer", name]
    if loss["name"] != "output":
        options += ["--reduction", loss["reduction"]]
        if loss["class_axis"] is not None:
            options += ["--class-axis", loss["class_axis"]]
    for key, option in OPTIMIZER_OPTIONS.items():
        if optimizer.get(key):
            options += [option, optimizer[key]]
    for beta, option in zip(optimizer.get("betas", ()), ("--beta1", "--beta2")):
        options += [option, beta]
    if about["batchnorm"]:
        options += ["--batchnorm", about["batchnorm"]]
    if folder.name in BROADCASTS:
        options.append("--allow-broadcast")
    return options + ["--dropout", "off"]


def batches_of(folder, about):
    """The batches in the order of the steps, stacked by input, and the targets if there are any."""
    data = read_npz(folder / "train" / "data.npz")
    order = about["batch_order"][: about["steps"]]
    inputs = {
        name: np.stack([data[f"b{k}_in{i}"] for k in order])
        for i, name in enumerate(graph_inputs(folder))
    }
    has_target = f"b{order[0]}_target" in data
    return inputs, np.stack([data[f"b{k}_target"] for k in order]) if has_target else None


def check_train(tool, folder, precision):
    about = json.loads((folder / "train" / "train.json").read_text())
    losses = json.loads((folder / "train" / "losses.json").read_text())
    output = graph_of(folder).output[about["output_index"]].name
    trainable = tool.path(".txt")
    trainable.write_text("\n".join(about["trainable"]) + "\n")
    trained, found = tool.train(
        folder / "model.onnx", *batches_of(folder, about), *training_options(folder, about, output),
        "--only", f"@{trainable}", "--unshare", "never", "--precision", precision,
    )  # fmt: skip

    double = precision == "float64"
    wanted = losses["reference_f64" if double else "reference"]
    expect_near("losses", np.array(found), np.array(wanted), 1e-8 if double else 1e-4)

    final = read_npz(folder / "train" / f"final_params{'_f64' if double else ''}.npz")
    weights = initializers(trained)
    for name in about["trainable"]:
        if name not in weights:  # a Constant node
            continue
        stored_in_double = weights[name].dtype == np.float64
        # A file of float32 can show no more of a run in double than its own rounding.
        atol = about["suggested_atol"][name]
        if double and not stored_in_double:
            atol = 1e-7 * max(1.0, np.max(np.abs(final[name])))
        elif double:
            atol = 1e-7 * np.max(np.abs(final[name]))
        off = np.max(np.abs(weights[name].astype(np.float64) - final[name].astype(np.float64)))
        assert off <= atol, f"{name} after training: {off:.3g} off, allowed {atol:.3g}"


    if not double:
        check_written(tool, folder, trained)


def inputs_of(folder, data):
    return {n: read_pb(data / f"input_{i}.pb") for i, n in enumerate(graph_inputs(folder))}


def check_written(tool, folder, trained):
    """The written file is valid, and we and ONNX Runtime make of it what the framework made."""
    onnx.checker.check_model(str(trained))
    case = json.loads((folder / "case.json").read_text())
    data = folder / "test_data_set_0"
    inputs = inputs_of(folder, data)
    ours = tool.run(trained, inputs)
    theirs = ort_run(trained, inputs)
    for i, (name, value) in enumerate(ours.items()):
        if name in case["nondeterministic_outputs"]:
            continue
        if name in theirs:
            near(f"{name} in ONNX Runtime", theirs[name], value, 1e-3, 1e-4)
        after = folder / "train" / "after" / f"output_{i}.pb"
        if after.exists():
            near(f"{name} after training", value, read_pb(after), 1e-3, 1e-4)


def check_parameters(tool, folder):
    """Without being told, the command trains what the exporter's own net trained."""
    about = json.loads((folder / "train" / "train.json").read_text())
    listed = json.loads(tool("inspect", folder / "model.onnx", "--params", "--json"))["weights"]
    found = sorted(w["name"] for w in listed if w["role"] == "parameter")
    assert found == sorted(about["trainable"]), f"{found}, expected {sorted(about['trainable'])}"


def check_gradient(tool, folder):
    wanted = read_npz(folder / "grad" / "vjp_f64.npz")
    case = json.loads((folder / "case.json").read_text())
    data = folder / "test_data_set_0"
    inputs = inputs_of(folder, data)
    cotangents = []
    for i, output in enumerate(graph_of(folder).output):
        if output.name in case["grad"]["outputs"]:
            path = folder / "grad" / f"cotangent_{i}.pb"
            cotangents += ["--cotangent", f"{output.name}={path}"]
    out = tool.path(".npz")
    tool(
        "grad", folder / "model.onnx", "-i", tool.save(inputs), "-o", out, "--double",
        "--of", ",".join(case["grad"]["outputs"]), *cotangents, "--wrt", ",".join(wanted),
    )  # fmt: skip
    found = read_npz(out)
    # What is zero in theory (a bias before a norm) is rounding noise of the others in both.
    noise = 1e-14 * max(np.abs(v).max(initial=0) for v in wanted.values())
    for name, value in wanted.items():
        if (folder.name, name) in RANDOM_GRADIENTS:
            continue
        if np.abs(found[name] - value).max(initial=0) <= noise:
            continue
        off = distance(found[name], value)
        assert off <= 1e-9, f"gradient of {name}: {off:.3g} off, allowed 1e-9"


def cases():
    for folder in map(CORPUS.joinpath, (CORPUS / "supported.txt").read_text().split()):
        yield f"run_{folder.name}", lambda tool, f=folder: check_run(tool, f)
        if (folder / "train").is_dir():
            yield f"parameters_{folder.name}", lambda tool, f=folder: check_parameters(tool, f)
            for precision in ("float64", "float32"):
                yield (
                    f"train_{folder.name}_{precision}",
                    lambda tool, f=folder, p=precision: check_train(tool, f, p),
                )
        if (folder / "grad").is_dir():
            yield f"grad_{folder.name}", lambda tool, f=folder: check_gradient(tool, f)
