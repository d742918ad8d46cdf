"""What onnx's checker rejects, `onnxrun check` says, too; flops are those that torch counts."""

import json
import subprocess

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def net():
    w = numpy_helper.from_array(np.ones((3, 2), np.float32), "w")
    b = numpy_helper.from_array(np.zeros(2, np.float32), "b")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], "mm"),
        helper.make_node("Add", ["m", "b"], ["y"], "add"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(nodes, "g", [x], [y], [w, b])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def external(m, **entries):
    tensor = m.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)


def swap_nodes(m):
    nodes = list(m.graph.node)
    del m.graph.node[:]
    m.graph.node.extend(nodes[::-1])


def in_a_body(m, op, reads, writes):
    body = helper.make_graph(
        [helper.make_node(op, [reads], [writes], "inner")], "body", [],
        [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)],
    )  # fmt: skip
    branch = helper.make_node("If", ["c"], ["y"], "if", then_branch=body, else_branch=body)
    m.graph.node[1].CopyFrom(branch)
    m.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))


# Name, what is done to the net, a word of the finding.
BROKEN = [
    ("initializer twice", lambda m: m.graph.initializer.append(m.graph.initializer[0]), "'w'"),
    ("not SSA", lambda m: m.graph.node.add(op_type="Relu", input=["m"], output=["y"]), "two values"),
    ("cycle", lambda m: m.graph.node[0].input.__setitem__(0, "y"), "cycle"),
    ("order", swap_nodes, "topological"),
    ("missing input", lambda m: m.graph.node[1].input.__setitem__(1, "nope"), "'nope'"),
    ("no opset", lambda m: m.ClearField("opset_import"), "opset"),
    ("operator", lambda m: setattr(m.graph.node[0], "op_type", "Nope"), "Nope node 'mm'"),
    ("attribute", lambda m: m.graph.node[1].attribute.append(helper.make_attribute("q", 1)), "'q'"),
    ("kind of attribute", lambda m: m.graph.node[1].CopyFrom(
        helper.make_node("Softmax", ["m"], ["y"], "s", axis=1.5)), "expected int"),
    ("too few inputs", lambda m: m.graph.node[0].input.pop(), "missing"),
    ("declared length", lambda m: setattr(
        m.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 5), "declared float[N,5]"),
    ("declared type", lambda m: setattr(
        m.graph.output[0].type.tensor_type, "elem_type", TensorProto.INT64), "declared int64[N,2]"),
    ("value_info", lambda m: m.graph.value_info.append(
        helper.make_tensor_value_info("m", TensorProto.FLOAT, ["N", 7])), "declared float[N,7]"),
    ("external data", lambda m: external(m, location="nothere.bin"), "nothere.bin"),
    ("a way out", lambda m: external(m, location="../x.bin"), "leads out"),
    ("old IR", lambda m: setattr(m, "ir_version", 2), "IR version 2"),
    ("new IR", lambda m: setattr(m, "ir_version", 99), "IR version 99"),
    ("initializers of IR 3", lambda m: setattr(m, "ir_version", 3), "not listed"),
    ("shapes", lambda m: m.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.ones((4, 2), np.float32), "w")), "inner dimensions"),
    ("types", lambda m: m.graph.initializer[1].CopyFrom(
        numpy_helper.from_array(np.ones(2, np.int64), "b")), "one type"),
    ("no name", lambda m: setattr(m.graph, "name", ""), "no name"),
    ("cut data", lambda m: setattr(m.graph.initializer[0], "raw_data", b"1234"), "raw_data"),
    ("no shape", lambda m: m.graph.output[0].type.tensor_type.ClearField("shape"), "no shape"),
    ("operator in a body", lambda m: in_a_body(m, "Nope", "m", "r"), "Nope node 'inner'"),
    ("output of a body", lambda m: in_a_body(m, "Relu", "m", "q"), "nothing produces 'r'"),
]  # fmt: skip


def check(tool, path):
    done = subprocess.run([tool.binary, "check", path, "--strict", "--json"], capture_output=True)
    return done.returncode, json.loads(done.stdout)


def test_what_the_checker_rejects(tool):
    path = tool.path(".onnx")
    onnx.save(net(), str(path))
    onnx.checker.check_model(str(path), full_check=True)
    code, report = check(tool, path)
    assert code == 0 and not report["findings"], report
    for name, damage, word in BROKEN:
        model = net()
        damage(model)
        path.write_bytes(model.SerializeToString())
        try:
            onnx.checker.check_model(str(path), full_check=True)
            raise AssertionError(f"{name}: onnx accepts it")
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
            pass
        code, report = check(tool, path)
        texts = [f["text"] for f in report["findings"] if f["severity"] != "note"]
        assert code in (1, 3, 4) and any(word in text for text in texts), f"{name}: {code} {texts}"


NETS = [
    (nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2, bias=False), [(2, 6, 15, 17)]),
    (nn.Conv1d(6, 8, 5, dilation=2, bias=False), [(2, 6, 37)]),
    (nn.ConvTranspose2d(6, 8, 3, stride=2, groups=2, bias=False), [(2, 6, 7, 9)]),
    (nn.Linear(7, 11, bias=False), [(5, 7)]),
    (nn.Sequential(nn.Linear(4, 8, bias=False), nn.Linear(8, 3, bias=False)), [(2, 5, 4)]),
]


def test_flops(tool):
    for model, shapes in NETS:
        inputs = tuple(torch.randn(s) for s in shapes)
        with FlopCounterMode(display=False) as counter:
            model(*inputs)
        path = tool.path(".onnx")
        torch.onnx.export(model.eval(), inputs, path, dynamo=False, opset_version=17)
        found = json.loads(tool("inspect", path, "--json"))["cost"]["flops"]
        assert found == counter.get_total_flops(), f"{model}: {found}, {counter.get_total_flops()}"
