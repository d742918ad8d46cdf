"""Operators of domain ai.onnx.ml against ONNX Runtime."""

import numpy as np
from onnx import TensorProto, helper

from support import expect_near, ort_run

TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int64): TensorProto.INT64,
}


def compare(tool, op, inputs, output=TensorProto.FLOAT, **attributes):
    names = [f"x{i}" for i in range(len(inputs))]
    node = helper.make_node(op, names, ["y"], domain="ai.onnx.ml", **attributes)
    infos = [
        helper.make_tensor_value_info(n, TYPES[v.dtype], v.shape) for n, v in zip(names, inputs)
    ]
    result = helper.make_tensor_value_info("y", output, None)
    graph = helper.make_graph([node], "one", infos, [result])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    path = tool.path(".onnx")
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    feed = dict(zip(names, inputs))
    expected = ort_run(path, feed)["y"]
    for level in (0, 2):
        actual = tool.run(path, feed, "--optimize", level)["y"]
        assert actual.dtype == expected.dtype, f"{op}: {actual.dtype}"
        expect_near(f"{op} {attributes}", actual, expected, 1e-5)


def rows(dtype):
    x = np.random.default_rng(1).uniform(-5, 5, (4, 3))
    x[1] = 0
    return x.astype(dtype)


def test_features(tool):
    for dtype in TYPES:
        x = rows(dtype)
        for norm in ("MAX", "L1", "L2"):
            compare(tool, "Normalizer", [x], norm=norm)
        compare(tool, "Scaler", [x], offset=[1.0, -2.0, 0.5], scale=[0.5, 2.0, -1.0])
        compare(tool, "Scaler", [x], offset=[1.5], scale=[0.5])
        compare(tool, "FeatureVectorizer", [x, x[:, :2].copy()], inputdimensions=[2, 4])
    x = rows(np.float32)
    compare(tool, "Normalizer", [x[0]], norm="L2")
    compare(tool, "Binarizer", [x], threshold=0.5)
    columns = np.array([[2, 0, 2, 1]], np.int64)
    compare(tool, "ArrayFeatureExtractor", [x, columns])
    compare(tool, "ArrayFeatureExtractor", [x[0], columns])
    compare(tool, "ArrayFeatureExtractor", [x.reshape(2, 2, 3), columns])
    integers = rows(np.int64)
    compare(tool, "ArrayFeatureExtractor", [integers, columns], TensorProto.INT64)


def test_regression(tool):
    x, w = rows(np.float32), [0.1, -0.2, 0.3, 0.4, 0.5, -0.6]
    compare(tool, "LinearRegressor", [x], coefficients=w[:3])
    for transform in ("NONE", "LOGISTIC", "SOFTMAX"):
        compare(
            tool, "LinearRegressor", [x], coefficients=w, intercepts=[0.25, -0.5], targets=2,
            post_transform=transform,
        )  # fmt: skip
