"""Writes squash.onnx, which uses an operator that no runtime has: y = Squash(x W + b)."""

import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

folder = pathlib.Path(__file__).parent
random = np.random.default_rng(0)
weights = [
    numpy_helper.from_array(random.normal(size=(2, 3)).astype(np.float32), "W"),
    numpy_helper.from_array(random.normal(size=3).astype(np.float32), "b"),
]
nodes = [
    helper.make_node("Gemm", ["x", "W", "b"], ["linear"]),
    helper.make_node("Squash", ["linear"], ["y"], domain="com.example", scale=2.0),
]
x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
graph = helper.make_graph(nodes, "squash", [x], [y], weights)
opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.example", 1)]
model = helper.make_model(graph, opset_imports=opsets, producer_name="example")
model.ir_version = 10
save(model, folder / "squash.onnx")
