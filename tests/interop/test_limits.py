"""Files that want more than they may: one clear error, in time, and within 1.3 times the memory.

Each attack is a small file; the memory limit is far below what it asks for.
"""

import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

LIMIT = 400 << 20
# The program itself, its libraries, stacks.
PROGRAM = 40 << 20


def model(nodes, inputs, outputs, initializers=(), functions=(), opset=21):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("f", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=10)


def value(name, dims=(), dtype=T.FLOAT):
    return helper.make_tensor_value_info(name, dtype, dims)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def scalar(name, v, dtype=np.int64):
    return numpy_helper.from_array(np.array(v, dtype), name)


def loop(body, carried, outputs, trips="", going="", body_initializers=()):
    """A Loop over nodes that make `NAME_next` of each carried (name, initial, value info)."""
    info = [value("i", (), T.INT64), value("c", (), T.BOOL)]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c_next"]), *body], "body",
        info + [v for _, _, v in carried],
        [value("c_next", (), T.BOOL)] + [renamed(v, n + "_next") for n, _, v in carried],
        list(body_initializers),
    )  # fmt: skip
    return helper.make_node("Loop", [trips, going, *[i for _, i, _ in carried]], outputs, body=graph)


def renamed(info, name):
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(info)
    copy.name = name
    return copy


def untyped(name):
    return onnx.ValueInfoProto(name=name)


def sequence(name):
    return helper.make_tensor_sequence_value_info(name, T.FLOAT, None)


def add(a, b, out):
    return helper.make_node("Add", [a, b], [out])


# ---- attacks: name, model, what the command must say ----


def endless():
    node = loop([add("v", "v", "v_next")], [("v", "x", value("v", [3]))], ["y"])
    return model([node], [value("x", [3])], [value("y", [3])])


def endless_by_data():
    """A condition that no analysis sees through, and a body that takes its time."""
    body = [
        helper.make_node("MatMul", ["v", "w"], ["v_next"]),
        helper.make_node("GreaterOrEqual", ["i", "zero"], ["c_next"]),
    ]
    carried = [("v", "x", value("v", [300, 300]))]
    info = [value("i", (), T.INT64), value("c", (), T.BOOL), value("v", [300, 300])]
    outs = [value("c_next", (), T.BOOL), value("v_next", [300, 300])]
    graph = helper.make_graph(body, "b", info, outs)
    del carried
    node = helper.make_node("Loop", ["", "", "x"], ["y"], body=graph)
    weights = [scalar("zero", 0), numpy_helper.from_array(np.zeros((300, 300), np.float32), "w")]
    return model([node], [value("x", [300, 300])], [value("y", [300, 300])], weights)


def endless_inside_another():
    """Each loop for itself is short enough."""
    inner = loop([add("u", "u", "u_next")], [("u", "v", value("u", [3]))], ["v_next"], "many")
    outer = loop([inner], [("v", "x", value("v", [3]))], ["y"], "many")
    return model([outer], [value("x", [3])], [value("y", [3])], [scalar("many", 99_999_999)])


def growing_sequence():
    body = [helper.make_node("SequenceInsert", ["q", "x"], ["q_next"])]
    nodes = [
        helper.make_node("SequenceEmpty", [], ["q0"]),
        loop(body, [("q", "q0", sequence("q"))], ["q1"]),
        helper.make_node("SequenceLength", ["q1"], ["y"]),
    ]
    return model(nodes, [value("x", [100])], [value("y", [], T.INT64)])


def growing_sequence_of_copies():
    body = [add("x", "x", "z"), helper.make_node("SequenceInsert", ["q", "z"], ["q_next"])]
    nodes = [
        helper.make_node("SequenceEmpty", [], ["q0"]),
        loop(body, [("q", "q0", sequence("q"))], ["q1"]),
        helper.make_node("SequenceLength", ["q1"], ["y"]),
    ]
    return model(nodes, [value("x", [100])], [value("y", [], T.INT64)])


def doubling():
    body = [helper.make_node("Concat", ["v", "v"], ["v_next"], axis=0)]
    node = loop(body, [("v", "x", untyped("v"))], ["y"])
    return model([node], [value("x", [3])], [value("y", None)])


def doubling_text():
    body = [helper.make_node("StringConcat", ["v", "v"], ["v_next"])]
    first = helper.make_tensor("s", T.STRING, [1], [b"abcdefgh" * 10])
    node = loop(body, [("v", "s", value("v", [1], T.STRING))], ["y"])
    return model([node], [], [value("y", [1], T.STRING)], [first])


def stacking():
    graph = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), add("x", "x", "s")], "b",
        [value("i", (), T.INT64), value("c", (), T.BOOL)], [value("d", (), T.BOOL), value("s", [1000])],
    )  # fmt: skip
    node = helper.make_node("Loop", ["", ""], ["y"], body=graph)
    return model([node], [value("x", [1000])], [value("y", [None, 1000])])


def constant_of(*dims):
    nodes = [
        helper.make_node("ConstantOfShape", ["d"], ["c"]),
        helper.make_node("ReduceSum", ["c"], ["y"], keepdims=0),
    ]
    return model(nodes, [], [value("y", [])], [ints("d", *dims)])


def folded_chain():
    """Each constant may be folded; all of them together may not."""
    nodes = [helper.make_node("Expand", ["one", "d"], ["v0"])]
    for k in range(4000):
        nodes.append(add(f"v{k}", "one", f"v{k + 1}"))
    total = [f"v{k}" for k in range(0, 4000)]
    nodes.append(helper.make_node("Concat", total, ["all"], axis=0))
    nodes.append(helper.make_node("Add", ["all", "x"], ["y"]))
    initializers = [scalar("one", 1, np.float32), ints("d", 250_000)]
    return model(nodes, [value("x", [1])], [value("y", None)], initializers)


def folded_text():
    nodes = [helper.make_node("Expand", ["s", "d"], ["v"])]
    for k in range(40):
        nodes.append(helper.make_node("StringConcat", ["v", "v"] if k == 0 else [f"v{k - 1}"] * 2, [f"v{k}"]))
    text = helper.make_tensor("s", T.STRING, [1], [b"abcdefgh" * 10])
    return model(nodes, [], [value("v39", None, T.STRING)], [text, ints("d", 1000)])


def wide_arena():
    nodes = [add("x", "x", f"v{k}") for k in range(2000)]
    nodes.append(helper.make_node("Sum", [f"v{k}" for k in range(2000)], ["y"]))
    return model(nodes, [value("x", [1_000_000])], [value("y", [1_000_000])])


def range_content():
    """Shape inference that follows the elements of index tensors."""
    nodes = [
        helper.make_node("Range", ["a", "b", "one"], ["r"]),
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Concat", ["r", "s"], ["t"], axis=0),
        helper.make_node("ReduceSum", ["t"], ["y"], keepdims=0),
    ]
    initializers = [scalar("a", 0), scalar("b", 1_000_000_000), scalar("one", 1)]
    return model(nodes, [value("x", [None])], [value("y", [], T.INT64)], initializers)


def shape_content_doubling():
    nodes = [helper.make_node("Shape", ["x"], ["s0"])]
    for k in range(60):
        nodes.append(helper.make_node("Concat", [f"s{k}", f"s{k}"], [f"s{k + 1}"], axis=0))
    return model(nodes, [value("x", [None])], [value("s60", None, T.INT64)])


def long_pads():
    nodes = [helper.make_node("Pad", ["x", "p"], ["y"], mode="wrap")]
    return model(nodes, [value("x", [3])], [value("y", None)], [ints("p", 0, 1 << 34)])


def tiled():
    nodes = [helper.make_node("Tile", ["x", "r"], ["y"])]
    return model(nodes, [value("x", [3])], [value("y", None)], [ints("r", 1 << 34)])


def resized():
    nodes = [helper.make_node("Resize", ["x", "", "", "s"], ["y"])]
    sizes = ints("s", 1, 1, 1 << 20, 1 << 14)
    return model(nodes, [value("x", [1, 1, 4, 4])], [value("y", None)], [sizes])


def many_functions():
    """Thirty levels that double: a billion nodes."""
    functions = []
    for k in range(30):
        inner = ("f", f"F{k - 1}") if k else ("", "Neg")
        nodes = [
            helper.make_node(inner[1], ["a"], ["b"], domain=inner[0]),
            helper.make_node(inner[1], ["b"], ["c"], domain=inner[0]),
        ]
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
        functions.append(helper.make_function("f", f"F{k}", ["a"], ["c"], nodes, opsets))
    node = helper.make_node("F29", ["x"], ["y"], domain="f")
    return model([node], [value("x", [3])], [value("y", [3])], functions=functions)


def empty_nodes():
    """Two bytes of the file are a node of two hundred in memory."""
    base = model([], [value("x", [3])], [value("x", [3])]).SerializeToString()
    count = 12_000_000
    graph = b"\x0a\x00" * count
    length = len(graph)
    varint = b""
    while length >= 128:
        varint += bytes([length & 127 | 128])
        length >>= 7
    return base + b"\x3a" + varint + bytes([length]) + graph


def many_nodes():
    nodes = [helper.make_node("Neg", ["x" if k == 0 else f"v{k - 1}"], [f"v{k}"]) for k in range(800_000)]
    return model(nodes, [value("x", [3])], [value("v799999", [3])])


def many_names():
    """A model whose text, not its tensors, is large."""
    m = model([add("x", "x", "y")], [value("x", [3])], [value("y", [3])])
    for k in range(500):
        entry = m.metadata_props.add()
        entry.key, entry.value = str(k), "v" * 1_000_000
    return m


def chained_text():
    """Twice as much text with every node, from an input that is short."""
    nodes = [helper.make_node("Cast", ["x"], ["v0"], to=T.STRING)]
    nodes += [helper.make_node("StringConcat", [f"v{k}"] * 2, [f"v{k + 1}"]) for k in range(40)]
    return model(nodes, [value("x", [1000], T.INT64)], [value("v40", [1000], T.STRING)])


def long_lists_of_lengths():
    """Every length of a shape is followed on its own."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "i"], ["t"]),
        helper.make_node("ReduceSum", ["t"], ["y"], keepdims=0),
    ]
    many = numpy_helper.from_array(np.zeros(40_000_000, np.int64), "i")
    return model(nodes, [value("x", ["n"])], [value("y", [], T.INT64)], [many])


def folded_scratch():
    """Constants whose transform needs far more memory than they have."""
    nodes = [helper.make_node("DFT", ["w", "", "axis"], ["v"]), helper.make_node("Identity", ["v"], ["y"])]
    w = numpy_helper.from_array(np.ones((1, 9_999_991, 1), np.float32), "w")
    return model(nodes, [], [value("y", None)], [w, scalar("axis", 1)])


def lasting_dynamic_values():
    """Beside an arena that is as large as it may be."""
    nodes = [add("x", "x", f"a{k}") for k in range(6)]
    nodes += [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Cast", ["n"], ["f"], to=T.DOUBLE)]
    nodes += [helper.make_node("Concat", ["f"] * 20, ["d"], axis=0), helper.make_node("ReduceSum", ["d"], ["r"])]
    nodes += [helper.make_node("Cast", ["r"], ["q"], to=T.FLOAT)]
    nodes += [helper.make_node("Sum", ["q"] + [f"a{k}" for k in range(6)], ["y"])]
    return model(nodes, [value("x", [14_000_000])], [value("y", None)])


def sparse():
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    where = numpy_helper.from_array(np.zeros(1, np.int64), "w")
    tensor = helper.make_sparse_tensor(values, where, [1 << 20, 1 << 10])
    m = model([helper.make_node("ReduceSum", ["w"], ["y"])], [], [value("y", None)])
    m.graph.sparse_initializer.append(tensor)
    return m


ATTACKS = {
    "endless": endless,
    "endless_inside_another": endless_inside_another,
    "growing_sequence": growing_sequence,
    "growing_sequence_of_copies": growing_sequence_of_copies,
    "doubling": doubling,
    "doubling_text": doubling_text,
    "stacking": stacking,
    "a_constant": lambda: constant_of(1 << 20, 1 << 10),
    "folded_chain": folded_chain,
    "folded_text": folded_text,
    "wide_arena": wide_arena,
    "range_content": range_content,
    "shape_content_doubling": shape_content_doubling,
    "long_pads": long_pads,
    "tiled": tiled,
    "resized": resized,
    "many_functions": many_functions,
    "empty_nodes": empty_nodes,
    "many_nodes": many_nodes,
    "many_names": many_names,
    "chained_text": chained_text,
    "long_lists_of_lengths": long_lists_of_lengths,
    "folded_scratch": folded_scratch,
    "lasting_dynamic_values": lasting_dynamic_values,
    "sparse": sparse,
}
# Those that may also end well, in the memory they have.
MAY_SUCCEED = {"many_nodes", "folded_chain", "long_lists_of_lengths"}


# The child of a small process: what this one takes would be counted to its own children.
LAUNCHER = """
import os, resource, sys
pid = os.fork()
if pid == 0:
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # should a limit fail, the machine goes on
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024)
"""


def outcome(tool, *args):
    """Exit code, the line of the error, seconds and the peak of resident memory."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LAUNCHER, tool.binary, *map(str, args)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    code, peak = map(int, done.stdout.splitlines()[-1].split())
    errors = [line for line in done.stderr.splitlines() if not line.startswith("onnxrun: warning: ")]
    return code, "\n".join(errors), time.monotonic() - began, peak


def attack(name):
    def run(tool):
        path = tool.path(".onnx")
        made = ATTACKS[name]()
        path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
        del made
        out = tool.path(".npz")
        code, errors, seconds, peak = outcome(
            tool, "run", path, "--random", "--max-memory", LIMIT, "-o", out
        )
        said = f"exit {code}, {seconds:.1f} s, {peak >> 20} MiB, {errors[:300]}"
        assert code == 7 or code == 0 and name in MAY_SUCCEED, said
        assert code == 0 or len(errors.splitlines()) == 1, said
        assert seconds < 60, said
        assert peak < 1.3 * LIMIT + PROGRAM, said

    return run


def cases():
    for name in ATTACKS:
        yield f"attack.{name}", attack(name)


def test_an_endless_loop_ends_within_a_minute(tool):
    """Whatever its body costs and whatever its condition looks like."""
    path = tool.path(".onnx")
    onnx.save(endless_by_data(), path)
    code, errors, seconds, _ = outcome(tool, "run", path, "--random")
    assert code == 7 and "trip count" in errors and seconds < 60, (code, errors, seconds)
