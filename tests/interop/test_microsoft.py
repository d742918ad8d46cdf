"""Operators of domain com.microsoft against ONNX Runtime's own."""

import numpy as np
from onnx import TensorProto, helper

from support import expect_near, ort_run

TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int64): TensorProto.INT64,
}


def model_of(op, inputs, outputs, attributes, domain):
    names = [f"x{i}" if v is not None else "" for i, v in enumerate(inputs)]
    node = helper.make_node(op, names, [n for n, _ in outputs], domain=domain, **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [
            helper.make_tensor_value_info(n, TYPES[v.dtype], v.shape)
            for n, v in zip(names, inputs)
            if n
        ],
        [helper.make_tensor_value_info(n, t, None) for n, t in outputs if n],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def compare(tool, op, inputs, attributes=None, outputs=None, domain="com.microsoft", steps=0,
            defined=lambda name, value: value):  # fmt: skip
    """`steps` is how far a quantized result may be off, `defined` the part of an output that is."""
    outputs = outputs or [("y", TensorProto.FLOAT)]
    path = tool.path(".onnx")
    path.write_bytes(model_of(op, inputs, outputs, attributes or {}, domain).SerializeToString())
    feed = {f"x{i}": v for i, v in enumerate(inputs) if v is not None}
    expected = ort_run(path, feed)
    for level in (0, 2):
        actual = tool.run(path, feed, "--optimize", level)
        for name, value in expected.items():
            if steps:
                off = np.abs(actual[name].astype(int) - value.astype(int)).max()
                assert actual[name].dtype == value.dtype and off <= steps, f"{op}: off by {off}"
            else:
                found, value = defined(name, actual[name]), defined(name, value)
                expect_near(f"{op} {name}", found, value, 1e-5)


def floats(*shape, seed=1):
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)


def whole(dtype, *shape, seed=1):
    low, high = (0, 256) if dtype == np.uint8 else (-128, 128)
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def one(value, dtype=np.float32):
    return np.array(value, dtype)


def test_gelus(tool):
    for rank in (1, 2, 3):
        x = floats(*(2, 3, 8)[-rank:])
        compare(tool, "Gelu", [x])
        compare(tool, "BiasGelu", [x, floats(8, seed=2)])
        compare(tool, "FastGelu", [x])
        compare(tool, "FastGelu", [x, floats(8, seed=2)])
        compare(tool, "QuickGelu", [x])
        compare(tool, "QuickGelu", [x], {"alpha": 0.7})


def test_fused_matmul(tool):
    for a_shape, b_shape, attributes in [
        ((2, 3), (3, 4), {}),
        ((3, 2), (3, 4), {"transA": 1, "alpha": 0.5}),
        ((5, 2, 3), (4, 3), {"transB": 1}),
        ((2, 5, 3), (5, 4, 3), {"transBatchA": 1, "transB": 1, "alpha": -2.0}),
        ((3, 5, 2), (4, 5, 3), {"transBatchA": 1, "transA": 1, "transBatchB": 1, "transB": 1}),
        ((3,), (3, 4), {}),
    ]:
        compare(tool, "FusedMatMul", [floats(*a_shape), floats(*b_shape, seed=2)], attributes)


def test_fused_gemm_and_conv(tool):
    a, b = floats(3, 4), floats(4, 5, seed=2)
    compare(tool, "FusedGemm", [a, b, floats(5, seed=3)], {"activation": "Relu", "beta": 0.5})
    compare(
        tool, "FusedGemm", [a, b],
        {"activation": "LeakyRelu", "activation_alpha": 0.2, "alpha": 2.0},
    )  # fmt: skip
    x, w = floats(1, 4, 7, 6), floats(6, 2, 3, 3, seed=2)
    for attributes in [
        {"activation": "Relu"},
        {"activation": "LeakyRelu", "activation_params": [0.3]},
        {"activation": "Clip", "activation_params": [-0.5, 1.5]},
        {"activation": "HardSigmoid", "activation_params": [0.3, 0.4]},
        {"activation": "Tanh"},
        {"activation": "Sigmoid"},
    ]:
        attributes |= {"group": 2, "pads": [1, 0, 1, 2], "strides": [2, 1]}
        compare(tool, "FusedConv", [x, w, floats(6, seed=3)], attributes)
    compare(
        tool, "FusedConv", [x, w, None, floats(1, 6, 5, 4, seed=4)],
        {"activation": "Relu", "group": 2},
    )  # fmt: skip


def test_skip_normalizations(tool):
    x, skip, gamma, beta, bias = (
        floats(2, 3, 8), floats(2, 3, 8, seed=2), *(floats(8, seed=s) for s in (3, 4, 5)),
    )  # fmt: skip
    total = [("y", 1), ("", 1), ("", 1), ("sum", 1)]
    for s in (skip, skip[:1], skip[0]):
        compare(tool, "SkipLayerNormalization", [x, s, gamma, beta, bias], {"epsilon": 1e-3})
        compare(tool, "SkipSimplifiedLayerNormalization", [x, s, gamma, bias], {"epsilon": 1e-3})
    compare(tool, "SkipLayerNormalization", [x, skip, gamma, None, bias], {}, total)
    compare(tool, "SkipLayerNormalization", [x[0], skip[0], gamma, beta], {}, total)
    compare(tool, "SkipSimplifiedLayerNormalization", [x, skip, gamma], {}, total)
    compare(tool, "SimplifiedLayerNormalization", [x, gamma], {"epsilon": 1e-3}, domain="")
    compare(
        tool, "SimplifiedLayerNormalization", [x, floats(3, 8, seed=7)], {"axis": 1},
        [("y", 1), ("inverse", 1)], domain="",
    )  # fmt: skip


def test_embeddings(tool):
    ids = np.array([[1, 4, 0], [2, 2, 3]], np.int32)
    tables = [floats(5, 8), floats(6, 8, seed=2), floats(2, 8, seed=3)]
    gamma, beta = floats(8, seed=4), floats(8, seed=5)
    segments, mask = ids % 2, np.array([[1, 1, 0], [1, 0, 0]], np.int32)
    both = [("y", 1), ("index", TensorProto.INT32)]
    name = "EmbedLayerNormalization"
    compare(tool, name, [ids, segments, *tables, gamma, beta, mask], {}, both)
    compare(tool, name, [ids, None, *tables[:2], None, gamma, beta], {"epsilon": 1e-3}, both)
    compare(
        tool, name, [ids, segments, *tables, gamma, beta, mask, np.array([[5, 0, 1]], np.int32)],
        {}, [*both, ("sum", 1)],
    )  # fmt: skip


def test_linear_quantization(tool):
    x = floats(3, 4)
    scales = np.array([0.1, 0.02, 0.05, 0.5], np.float32)
    for dtype, onnx_type in [(np.uint8, TensorProto.UINT8), (np.int8, TensorProto.INT8)]:
        points = np.array([3, 0, 7, 1], dtype)
        out = [("y", onnx_type)]
        compare(tool, "QuantizeLinear", [x, scales, points], {"axis": 1}, out, steps=1)
        compare(tool, "QuantizeLinear", [x, one(0.03), one(5, dtype)], {}, out, steps=1)
        q = whole(dtype, 3, 4)
        compare(tool, "DequantizeLinear", [q, scales, points], {"axis": 1})
        compare(tool, "DequantizeLinear", [q, one(0.03), one(5, dtype)])


def test_quantized_functions(tool):
    for dtype, t in [(np.uint8, TensorProto.UINT8), (np.int8, TensorProto.INT8)]:
        out = [("y", t)]
        a, b = whole(dtype, 2, 3, 5), whole(dtype, 3, 1, seed=2)
        p, q, r = one(3, dtype), one(11, dtype), one(7, dtype)
        for op, scale in [("QLinearAdd", 0.03), ("QLinearMul", 0.2)]:
            inputs = [a, one(0.02), p, b, one(0.05), q, one(scale), r]
            compare(tool, op, inputs, {}, out, steps=1)
        unary = [a, one(0.03), p, one(1 / 200), r]
        compare(tool, "QLinearSigmoid", unary, {}, out, steps=1)
        compare(tool, "QLinearLeakyRelu", unary[:3] + [one(0.02), r], {"alpha": 0.3}, out, steps=1)
        for opset, axis in [(13, 1), (13, -1), (11, 1), (11, 2)]:
            attributes = {"opset": opset, "axis": axis}
            inputs = [a, one(0.05), p, one(1 / 256), one(0 if t == 2 else -128, dtype)]
            compare(tool, "QLinearSoftmax", inputs, attributes, out, steps=1)
        parts = [one(0.04), r, a, one(0.02), p, a[:, :2], one(0.05), q]
        compare(tool, "QLinearConcat", parts, {"axis": 1}, out, steps=1)


def test_quantized_pools(tool):
    for dtype, t in [(np.uint8, TensorProto.UINT8), (np.int8, TensorProto.INT8)]:
        for last in (0, 1):
            x = whole(dtype, *((2, 6, 7, 3) if last else (2, 3, 6, 7)))
            inputs = [x, one(0.02), one(3, dtype), one(0.015), one(5, dtype)]
            out, layout = [("y", t)], {"channels_last": last}
            compare(tool, "QLinearGlobalAveragePool", inputs, layout, out, steps=1)
            for more in ({}, {"pads": [1, 1, 0, 1]}, {"pads": [1] * 4, "count_include_pad": 1}):
                window = {"kernel_shape": [3, 2], "strides": [2, 1], **more, **layout}
                compare(tool, "QLinearAveragePool", inputs, window, out, steps=1)


def test_quantized_products(tool):
    a, b = whole(np.uint8, 4, 6), whole(np.int8, 6, 3, seed=2)
    scales, points = np.abs(floats(3, seed=3)) * 0.01, np.array([1, -4, 9], np.int8)
    left, right = [a, one(0.02), one(120, np.uint8)], [b, scales, points]
    c = np.array([50, -300, 1000], np.int32)
    compare(tool, "QGemm", left + right, {"alpha": 0.5})
    compare(tool, "QGemm", left + [b, one(0.01), one(3, np.int8), c])
    compare(
        tool, "QGemm", left + [b.T.copy(), one(0.01), one(3, np.int8), c, one(0.2), one(9, np.uint8)],
        {"transB": 1}, [("y", TensorProto.UINT8)], steps=1,
    )  # fmt: skip
    bias = floats(3, seed=5)
    name = "MatMulIntegerToFloat"
    compare(tool, name, [a, b, one(0.02), scales, one(120, np.uint8), points, bias])
    compare(tool, name, [a, b, one(0.02), one(0.03)])
    compare(tool, "DynamicQuantizeMatMul", [floats(2, 5, 6), b, scales, points, bias])
    compare(tool, "DynamicQuantizeMatMul", [floats(5, 6), b, one(0.03)])


def test_few_bits(tool):
    n, k = 5, 48
    for bits in (4, 8):
        for block in (16, 32):
            blocks = -(-k // block)
            b = whole(np.uint8, n, blocks, block * bits // 8)
            scales = floats(n, blocks, seed=2)
            points = whole(np.uint8, n, -(-blocks * bits // 8), seed=3)
            attributes = {"K": k, "N": n, "bits": bits, "block_size": block}
            x = floats(2, 3, k)
            compare(tool, "MatMulNBits", [x, b, scales], attributes)
            compare(tool, "MatMulNBits", [x, b, scales, points], attributes)
            compare(tool, "MatMulNBits", [x, b, scales, points, None, floats(n)], attributes)


def test_multi_head_attention(tool):
    q, k, v = floats(2, 3, 8), floats(2, 5, 8, seed=2), floats(2, 5, 12, seed=3)
    name, heads = "MultiHeadAttention", {"num_heads": 2}
    compare(tool, name, [q, k, v], heads)
    compare(tool, name, [q, k, v, floats(28, seed=4)], heads | {"scale": 0.3})
    bias = floats(1, 2, 3, 5, seed=5)
    compare(tool, name, [q, k, v, None, None, bias], heads)
    for mask in ([5, 2], [[1, 1, 0, 1, 0], [1, 0, 0, 0, 0]]):
        compare(tool, name, [q, k, v, None, np.array(mask, np.int32)], heads)
        compare(tool, name, [q, k, v, None, np.array(mask, np.int32), bias], heads)
    square = floats(2, 3, 8, seed=6)
    compare(tool, name, [q, square, square], heads | {"unidirectional": 1})
    present = [("y", 1), ("k", 1), ("v", 1)]
    past = [floats(2, 2, 4, 4, seed=7), floats(2, 2, 4, 4, seed=8)]
    inputs = [q, square, square, floats(24, seed=4), None, None, *past]
    compare(tool, name, inputs, heads, present)
    compare(tool, name, inputs, heads | {"unidirectional": 1}, present)
    compare(tool, name, [q, *past], heads)


def test_rotary_embedding(tool):
    caches = [floats(9, 4, seed=2), floats(9, 4, seed=3)]
    places = np.array([[0, 4, 2], [8, 1, 1]], np.int64)
    for x in (floats(2, 3, 16), floats(2, 2, 3, 8)):
        for where in (places, np.array([3], np.int64)):
            for interleaved in (0, 1):
                attributes = {"interleaved": interleaved}
                compare(tool, "RotaryEmbedding", [x, where, *caches], attributes)
    halves = [c[:, :2].copy() for c in caches]
    attributes = {"rotary_embedding_dim": 4, "num_heads": 2}
    compare(tool, "RotaryEmbedding", [floats(2, 3, 16), places, *halves], attributes)


def test_standard_forms(tool):
    a, b = floats(4, 3), floats(5, 3, seed=2)
    for metric in ("sqeuclidean", "euclidean"):
        compare(tool, "CDist", [a, b], {"metric": metric})
    pads = np.array([[1, 0, 2, 1]], np.int64)
    for mode in ("constant", "reflect", "edge"):
        compare(tool, "Pad", [a, pads], {"mode": mode})
    compare(tool, "Pad", [a, pads[0], one([1.5])])
    for start, limit, step in ((0.0, 2.0, 0.5), (3.0, -1.0, -1.0), (0.0, 4.0, None)):
        inputs = [one(start), one([limit]), None if step is None else one(step)]
        compare(tool, "Range", inputs if step is not None else inputs[:2])
    for upper in (0, 1):
        compare(tool, "Trilu", [a], {"upper": upper})
        compare(tool, "Trilu", [a, one(-1, np.int64)], {"upper": upper})
    found = [("y", 1), ("idx", 7), ("counts", 7)]
    compare(tool, "Unique", [one([3, 1, 3, 2, 1, 1])], {}, found)
    image, grid = floats(1, 2, 5, 4), floats(1, 3, 3, 2, seed=3)
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            for align in (0, 1):
                attributes = {"mode": mode, "padding_mode": padding, "align_corners": align}
                compare(tool, "GridSample", [image, grid], attributes)


def test_expand_dims(tool):
    for axis in (0, 2, -1):
        value = helper.make_tensor("x1", TensorProto.INT32, [], [axis])
        node = helper.make_node("ExpandDims", ["x0", "x1"], ["y"], domain="com.microsoft")
        x = helper.make_tensor_value_info("x0", 1, [4, 3])
        y = helper.make_tensor_value_info("y", 1, None)
        graph = helper.make_graph([node], "one", [x], [y], [value])
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        path = tool.path(".onnx")
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        path.write_bytes(model.SerializeToString())
        feed = {"x0": floats(4, 3)}
        expect_near("ExpandDims", tool.run(path, feed)["y"], ort_run(path, feed)["y"], 0)


def test_packed_attention(tool):
    x, w, b = floats(2, 3, 8), floats(8, 24, seed=2), floats(24, seed=3)
    heads, present = {"num_heads": 2}, [("y", 1), ("present", 1)]
    past = floats(2, 2, 2, 5, 4, seed=4)
    ints = lambda v: np.array(v, np.int32)  # noqa: E731
    masks = [None, ints([3, 2]), ints([3, 2, 1, 0]), ints([[1, 1, 0], [1, 0, 0]]),
             ints([[[1, 0, 0], [1, 1, 0], [1, 1, 1]]] * 2)]  # fmt: skip
    bias = floats(1, 2, 3, 3, seed=5)
    for causal in (0, 1):
        options = heads | {"unidirectional": causal}
        for mask in masks:
            compare(tool, "Attention", [x, w, b, mask], options)
        compare(tool, "Attention", [x, w, b, masks[1], None, bias], options | {"scale": 0.7})
        compare(tool, "Attention", [x, w, b, None, past], options, present)
    compare(tool, "Attention", [x, w[:, :20].copy(), b[:20].copy()],
            heads | {"qkv_hidden_sizes": [8, 8, 4]})  # fmt: skip
    for kind in (np.uint8, np.int8):
        zeros = [one(7, np.uint8), one(3, kind)]
        inputs = [whole(np.uint8, 2, 3, 8), whole(kind, 8, 24, seed=2), b, one(0.02), one(0.01)]
        for causal in (0, 1):
            options = heads | {"unidirectional": causal}
            for mask in masks[:4]:
                compare(tool, "QAttention", [*inputs, mask, *zeros], options)
        compare(tool, "QAttention", [*inputs, None, *zeros, past], heads, present)


def test_inverse(tool):
    for dims in ((3, 3), (2, 4, 4)):
        compare(tool, "Inverse", [floats(*dims) + 3 * np.eye(dims[-1], dtype=np.float32)])
        compare(tool, "Inverse", [floats(*dims, seed=5)])


def test_large_inverse(tool):
    """As large as OpenBLAS takes them, against numpy: the inverse and its gradient."""
    x = np.eye(256, dtype=np.float32) + floats(2, 256, 256) / 64
    path, flow = tool.path(".onnx"), tool.path(".npy")
    outputs = [("y", TensorProto.FLOAT)]
    path.write_bytes(model_of("Inverse", [x], outputs, {}, "com.microsoft").SerializeToString())
    cotangent = floats(*x.shape, seed=2)
    np.save(flow, cotangent)
    y = np.linalg.inv(x.astype(np.float64))
    back = y.transpose(0, 2, 1)
    gradient = -back @ cotangent @ back
    for products in ("own", "openblas"):
        options = ("--products", products)
        expect_near("inverse", tool.run(path, {"x0": x}, *options)["y"], y, 1e-5)
        flows = ("--wrt", "x0", "--cotangent", f"y={flow}")
        found = tool.gradients(path, {"x0": x}, *flows, *options)
        expect_near("gradient", found["x0"], gradient, 1e-4)


def gqa_inputs(batch, queries, past, cache, total, packed, rotary):
    """A cache of `cache` rows of which `past` are taken; total rows with the queries."""
    size = (4 + 2 * 2) * 16 if packed else 4 * 16
    keys = [None, None] if packed else [floats(batch, queries, 32, seed=s) for s in (2, 3)]
    old = [floats(batch, 2, cache, 16, seed=s) if cache else None for s in (4, 5)]
    lengths = np.full(batch, total - 1, np.int32)
    caches = [floats(32, 8, seed=s) if rotary else None for s in (6, 7)]
    return [
        floats(batch, queries, size), *keys, *old, lengths, one(total, np.int32), *caches,
    ]  # fmt: skip


def rows_before(count):
    """Of caches; what lies behind is no key."""
    return lambda name, value: value if name == "y" else value[:, :, :count]


def test_group_query_attention(tool):
    outputs = [("y", 1), ("k", 1), ("v", 1)]
    heads = {"num_heads": 4, "kv_num_heads": 2}
    for queries, past, cache in ((5, 0, 0), (1, 6, 6), (3, 6, 6), (1, 6, 12)):
        for packed in (False, True):
            for rotary in (0, 1):
                for interleaved in (0, 1)[: 1 + rotary]:
                    total = queries + past
                    batch = 1 if queries > 1 and past else 2
                    inputs = gqa_inputs(batch, queries, past, cache, total, packed, rotary)
                    options = {"do_rotary": rotary, "rotary_interleaved": interleaved}
                    compare(tool, "GroupQueryAttention", inputs, heads | options, outputs,
                            defined=rows_before(total))  # fmt: skip
    inputs = gqa_inputs(1, 9, 0, 0, 9, False, 1)
    for more in ({"local_window_size": 3}, {"softcap": 2.0}, {"scale": 0.4}):
        compare(tool, "GroupQueryAttention", inputs, heads | {"do_rotary": 1} | more, outputs)
    inputs = gqa_inputs(1, 1, 8, 8, 9, False, 1)
    compare(tool, "GroupQueryAttention", inputs, heads | {"local_window_size": 3}, outputs)
    uneven = gqa_inputs(2, 1, 6, 6, 7, False, 1)
    uneven[5] = np.array([6, 3], np.int32)
    compare(tool, "GroupQueryAttention", uneven, heads | {"do_rotary": 1}, outputs,
            defined=rows_before(4))  # fmt: skip


def test_gather_block_quantized(tool):
    """Tables in bytes; those of 4 bits have no form in numpy."""
    rows = np.array([[2, 0], [-1, 1]], np.int64)
    for bits in (2, 4, 8):
        numbers = 32
        data = whole(np.uint8, 3, 2, numbers * bits // 8)
        scales = floats(3, 2, numbers // 16, seed=2)
        zeros = whole(np.uint8, 3, 2, max(1, numbers // 16 * bits // 8), seed=3)
        attributes = {"bits": bits, "block_size": 16, "gather_axis": 0, "quantize_axis": 2}
        compare(tool, "GatherBlockQuantized", [data, rows, scales], attributes)
        compare(tool, "GatherBlockQuantized", [data, rows, scales, zeros], attributes)
