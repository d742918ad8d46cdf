"""Sampling, regions, Fourier transforms, determinants and n-grams: values and gradients of PyTorch,
values of ONNX Runtime."""

import itertools

import numpy as np
import onnx
import torch
from onnx import helper

from support import expect_near, ort_run


def one_node(tool, op, inputs, attributes, opset=20):
    """A file of one node; inputs are its inputs by name in order, None for one left out."""
    given = {k: v for k, v in inputs.items() if v is not None}
    types = {k: helper.np_dtype_to_tensor_dtype(v.dtype) for k, v in given.items()}
    names = [k if v is not None else "" for k, v in inputs.items()]
    floats = [t for t in types.values() if t in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)]
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info(k, types[k], v.shape) for k, v in given.items()],
        [helper.make_tensor_value_info("y", (floats + [onnx.TensorProto.FLOAT])[0], None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    path = tool.path(".onnx")
    onnx.save(model, path)
    return path, given


def against_torch(tool, op, inputs, attributes, function, wrt, *options):
    """`function` of tensors by name is PyTorch's word for the node; all in double."""
    model, given = one_node(tool, op, inputs, attributes)
    tensors = {k: torch.tensor(v, requires_grad=k in wrt) for k, v in given.items()}
    expected = function(**tensors)
    expect_near(op, tool.run(model, given, *options)["y"], expected.detach().numpy(), 1e-11)
    cotangent = np.random.default_rng(1).standard_normal(expected.shape)
    expected.backward(torch.tensor(cotangent))
    flow = tool.path(".npy")
    np.save(flow, cotangent)
    flows = ("--cotangent", f"y={flow}")
    found = tool.gradients(model, given, "--wrt", ",".join(wrt), *flows, *options)
    for name in wrt:
        expect_near(f"gradient of {name}", found[name], tensors[name].grad.numpy(), 1e-10)


def against_ort(tool, op, inputs, attributes, opset=20):
    model, given = one_node(tool, op, inputs, attributes, opset)
    expect_near(op, tool.run(model, given)["y"], ort_run(model, given)["y"], 1e-5)


def grid_sample(mode, padding, align, axes):
    def test(tool):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((2, 3, 5, 6) if axes == 2 else (2, 3, 4, 5, 3))
        grid = rng.uniform(-2.5, 2.5, (2, 4, 7, 2) if axes == 2 else (2, 2, 3, 4, 3))
        attributes = {"mode": mode, "padding_mode": padding, "align_corners": align}
        names = {"linear": "bilinear", "cubic": "bicubic", "nearest": "nearest"}
        against_torch(
            tool, "GridSample", {"x": x, "grid": grid}, attributes,
            lambda x, grid: torch.nn.functional.grid_sample(
                x, grid, mode=names[mode], padding_mode=padding, align_corners=bool(align)
            ),
            ["x", "grid"],
        )  # fmt: skip

    return test


def cases():
    paddings = ["zeros", "border", "reflection"]
    for axes, mode in ((2, "linear"), (2, "nearest"), (2, "cubic"), (3, "linear"), (3, "nearest")):
        for padding, align in itertools.product(paddings, (0, 1)):
            name = f"grid_sample[{axes}d-{mode}-{padding}-{align}]"
            yield name, grid_sample(mode, padding, align, axes)


def test_fourier(tool):
    rng = np.random.default_rng(0)
    real, pair = torch.view_as_real, torch.view_as_complex
    for n, length in itertools.product((8, 9, 30), (None, 5, 37)):
        complex_x, real_x = rng.standard_normal((3, n, 2)), rng.standard_normal((3, n, 1))
        forms = [
            (complex_x, {}, lambda x, n: real(torch.fft.fft(pair(x), n, 1))),
            (complex_x, {"inverse": 1}, lambda x, n: real(torch.fft.ifft(pair(x), n, 1))),
            (real_x, {"onesided": 1}, lambda x, n: real(torch.fft.rfft(x[..., 0], n, 1))),
            (complex_x, {"onesided": 1, "inverse": 1},
             lambda x, n: torch.fft.irfft(pair(x), n, 1)[..., None]),
        ]  # fmt: skip
        for x, attributes, function in forms:
            inputs = {"x": x, "n": None if length is None else np.array(length)}
            against_torch(
                tool, "DFT", inputs, attributes,
                lambda x, n=None, f=function: f(x, None if n is None else int(n)), ["x"],
            )  # fmt: skip


def test_short_time_fourier(tool):
    rng = np.random.default_rng(0)
    inputs = {"x": rng.standard_normal((2, 50, 1)), "step": np.array(5), "w": rng.random(16)}
    against_torch(
        tool, "STFT", inputs, {},
        lambda x, step, w: torch.view_as_real(
            torch.stft(x[..., 0], 16, int(step), window=w, center=False, return_complex=True)
        ).transpose(1, 2),
        ["x", "w"],
    )  # fmt: skip


def test_determinants(tool):
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 12):
        x = rng.standard_normal((3, n, n))
        against_torch(tool, "Det", {"x": x}, {}, lambda x: torch.linalg.det(x), ["x"])
    # As large as OpenBLAS takes them.
    x = np.eye(256) + rng.standard_normal((2, 256, 256)) / 64
    for products in ("own", "openblas"):
        options = ("--products", products)
        against_torch(tool, "Det", {"x": x}, {}, lambda x: torch.linalg.det(x), ["x"], *options)


def test_regions(tool):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 13, 17)).astype("f4")
    corner = rng.uniform(-5, 30, (20, 2))
    rois = np.concatenate([corner, corner + rng.uniform(-1, 20, (20, 2))], 1).astype("f4")
    images = rng.integers(0, 2, 20)
    size = {"output_height": 4, "output_width": 3, "spatial_scale": 0.5}
    for mode, corners, ratio in itertools.product(
        ("avg", "max"), ("half_pixel", "output_half_pixel"), (0, 2, 3)
    ):
        how = {"mode": mode, "coordinate_transformation_mode": corners, "sampling_ratio": ratio}
        inputs = {"x": x, "rois": rois, "images": images}
        against_ort(tool, "RoiAlign", inputs, {**how, **size}, 16)
    whole = np.concatenate([images[:, None].astype("f4"), rois], 1)
    for scale in (1.0, 0.5):
        attributes = {"pooled_shape": [7, 3], "spatial_scale": scale}
        against_ort(tool, "MaxRoiPool", {"x": x, "rois": whole}, attributes)


def test_deformable_convolutions(tool):
    rng = np.random.default_rng(0)
    for group, offset_group, optional in ((1, 1, False), (2, 1, True), (2, 2, True), (1, 4, False)):
        shapes = {"x": (2, 4, 9, 8), "w": (6, 4 // group, 3, 2), "o": (2, offset_group * 12, 4, 8)}
        if optional:
            shapes.update(b=(6,), m=(2, offset_group * 6, 4, 8))
        inputs = {k: rng.standard_normal(s).astype("f4") for k, s in shapes.items()}
        inputs["o"] *= 2
        attributes = {"group": group, "offset_group": offset_group, "pads": [1, 0, 1, 1],
                      "strides": [2, 1], "dilations": [2, 1]}  # fmt: skip
        against_ort(tool, "DeformConv", inputs, attributes)


def test_n_grams(tool):
    rng = np.random.default_rng(0)
    # All of one item, then some of two and of three, where the output says.
    pairs = [(a, b) for a in range(5) for b in range(a)]
    triples = [(a, b, c) for a, b in pairs[:4] for c in range(3)]
    pool = [*range(5), *np.ravel(pairs), *np.ravel(triples)]
    count = 5 + len(pairs) + len(triples)
    common = {
        "ngram_counts": [0, 5, 5 + 2 * len(pairs)],
        "ngram_indexes": rng.permutation(count).tolist(),
        "weights": rng.random(count).tolist(),
        "pool_int64s": [int(v) for v in pool],
    }
    x = rng.integers(0, 6, (3, 40))
    for mode, skips, (low, high) in itertools.product(
        ("TF", "IDF", "TFIDF"), (0, 3), ((1, 1), (1, 3), (2, 3), (3, 3))
    ):
        limits = {"max_skip_count": skips, "min_gram_length": low, "max_gram_length": high}
        against_ort(tool, "TfIdfVectorizer", {"x": x}, {**common, **limits, "mode": mode})
