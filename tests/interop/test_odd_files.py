"""Old and odd files that ONNX Runtime takes and whose meaning is plain: the same outputs here, and
`check` says what is odd."""

import json

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from support import expect_near, ort_run

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
ROWS = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)


def info(name, array, shape=True):
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, kind, array.shape if shape is True else shape)


def write(tool, nodes, inputs, outputs=("y",), opset=17, ir_version=8, shapes=None):
    graph = helper.make_graph(
        nodes,
        "odd",
        [info(n, a, (shapes or {}).get(n, True)) for n, a in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
    )
    opsets = [helper.make_opsetid("", opset)]
    path = tool.path(".onnx")
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    path.write_bytes(model.SerializeToString())
    return path


def compare(tool, path, inputs):
    expected = ort_run(path, inputs)
    actual = tool.run(path, inputs)
    for name, value in expected.items():
        assert actual[name].shape == value.shape, f"{actual[name].shape}, expected {value.shape}"
        if value.size:
            expect_near(name, actual[name], value, 1e-5)


def rules(tool, path, code=0):
    return {f["rule"] for f in json.loads(tool("check", path, "--json", code=code))["findings"]}


def test_early_operators(tool):
    cases = [
        ("Affine", {}),
        ("Affine", {"alpha": 2.0, "beta": 3.0}),
        ("ParametricSoftplus", {"alpha": 0.5, "beta": 2.0}),
        ("ScaledTanh", {"alpha": 0.5, "beta": 2.0}),
        ("Scale", {"scale": 0.5}),
        ("ThresholdedRelu", {"alpha": 0.5}),
        ("ImageScaler", {"scale": 2.0, "bias": [1.0, 2.0, 3.0]}),
        ("Crop", {"border": [1, 0, 1, 2]}),
        ("Crop", {"border": [4, 0, 1, 2]}),
        ("Crop", {"border": [1, 0, 1, 2], "scale": [2, 3]}),
    ]
    for across in (0, 1):
        for divides in (0, 1):
            options = {"across_channels": across, "normalize_variance": divides}
            cases.append(("MeanVarianceNormalization", options))
    for op, attributes in cases:
        node = helper.make_node(op, ["x"], ["y"], **attributes)
        compare(tool, write(tool, [node], {"x": IMAGES}, opset=1, ir_version=3), {"x": IMAGES})


def test_dynamic_slice(tool):
    part = {"x": IMAGES, "starts": np.array([1, 0]), "ends": np.array([9, -1]), "axes": np.array([3, 1])}
    for names in (list(part), list(part)[:3]):
        inputs = {n: part[n] for n in names}
        node = helper.make_node("DynamicSlice", names, ["y"])
        compare(tool, write(tool, [node], inputs, opset=1, ir_version=3), inputs)


def test_order_twice_and_minus_one(tool):
    nodes = [helper.make_node("Relu", ["a"], ["y"]), helper.make_node("Neg", ["x"], ["a"])]
    path = write(tool, nodes, {"x": ROWS}, outputs=("y", "y"), shapes={"x": (-1, 3)})
    expected = -np.minimum(ROWS, 0)
    assert np.array_equal(tool.run(path, {"x": ROWS})["y"], expected)
    compare(tool, path, {"x": ROWS})
    assert {"node-order", "output-listed-twice"} <= rules(tool, path)


def test_windows(tool):
    """Longer than the padded image, and smaller than their steps."""
    for op in ("MaxPool", "AveragePool"):
        for attributes in (
            {"kernel_shape": [7, 7], "pads": [1, 1, 1, 1]},
            {"kernel_shape": [5, 2]},
            {"kernel_shape": [1, 2], "strides": [3, 3], "auto_pad": "SAME_UPPER"},
            {"kernel_shape": [2, 2], "strides": [3, 3], "auto_pad": "SAME_LOWER"},
        ):
            node = helper.make_node(op, ["x"], ["y"], **attributes)
            compare(tool, write(tool, [node], {"x": IMAGES}), {"x": IMAGES})
    weights = np.random.default_rng(2).normal(size=(2, 3, 2, 1)).astype(np.float32)
    for same in ("SAME_UPPER", "SAME_LOWER"):
        for steps in ([3, 3], [3, 2], [4, 4]):
            node = helper.make_node("Conv", ["x", "w"], ["y"], strides=steps, auto_pad=same)
            inputs = {"x": IMAGES, "w": weights}
            path = write(tool, [node], inputs)
            expected = ReferenceEvaluator(str(path)).run(None, inputs)[0]
            expect_near("Conv", tool.run(path, inputs)["y"], expected, 1e-5)


def test_layer_normalization_before_its_opset(tool):
    node = helper.make_node("LayerNormalization", ["x", "s"], ["y"])
    inputs = {"x": ROWS, "s": np.ones(3, np.float32)}
    path = write(tool, [node], inputs, opset=12)
    compare(tool, path, inputs)
    assert "before-its-opset" in rules(tool, path)


def test_every_ir_version(tool):
    node = helper.make_node("Relu", ["x"], ["y"])
    for version in range(3, 15):
        path = write(tool, [node], {"x": ROWS}, opset=7, ir_version=version)
        assert np.array_equal(tool.run(path, {"x": ROWS})["y"], np.maximum(ROWS, 0))
