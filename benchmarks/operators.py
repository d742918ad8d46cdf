#!/usr/bin/env python3
"""Times single operators against the onnx package's reference evaluator, which computes in numpy:
operators.py PATH/onnxrun [NAME...]

One thread; sizes are those of ordinary use. Results are compared first. The last line says how many
operators take longer here; exit code 1 if one does. Needs onnx and numpy.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import RuntimeImplementationError

rng = np.random.default_rng(0)
f = lambda *shape: rng.standard_normal(shape).astype(np.float32)
i64 = lambda *values: np.array(values, np.int64)
u8 = lambda *shape: rng.integers(0, 255, shape).astype(np.uint8)
scalar = lambda v, t=np.float32: np.array(v, t)
strings = np.array([f"word {k} of a list" for k in range(2000)], dtype=object)

# Operator: inputs (None where one is left out), attributes, outputs.
CASES = {
    "AffineGrid": ([f(8, 2, 3), i64(8, 3, 64, 64)], {}, 1),
    "Attention": ([f(2, 4, 64, 32), f(2, 4, 64, 32), f(2, 4, 64, 32)], {}, 1),
    "BitCast": ([f(256, 256)], {"to": onnx.TensorProto.INT32}, 1),
    "BlackmanWindow": ([i64(4096).reshape(())], {}, 1),
    "CausalConvWithState": ([f(2, 32, 128), f(32, 1, 4)], {}, 2),
    "CenterCropPad": ([f(3, 256, 256), i64(200, 300)], {"axes": [1, 2]}, 1),
    "Col2Im": ([f(2, 36, 900), i64(32, 32), i64(3, 3)], {}, 1),
    "Compress": ([f(256, 256), rng.integers(0, 2, 256).astype(bool)], {"axis": 0}, 1),
    "ConvInteger": ([u8(1, 8, 32, 32), u8(8, 8, 3, 3)], {}, 1),
    "CumProd": ([f(256, 256), i64(1).reshape(())], {}, 1),
    "DFT": ([f(8, 512, 1)], {}, 1),
    "DeformConv": ([f(1, 2, 6, 6), f(2, 2, 3, 3), f(1, 18, 4, 4)], {}, 1),
    "DequantizeLinear": ([u8(256, 256), scalar(0.1), scalar(7, np.uint8)], {}, 1),
    "Det": ([f(64, 16, 16)], {}, 1),
    "DynamicQuantizeLinear": ([f(256, 256)], {}, 3),
    "Einsum": ([f(8, 64, 32), f(8, 32, 64)], {"equation": "bij,bjk->bik"}, 1),
    "EyeLike": ([f(256, 256)], {}, 1),
    "GlobalLpPool": ([f(8, 16, 32, 32)], {}, 1),
    "GridSample": ([f(2, 4, 32, 32), f(2, 32, 32, 2)], {}, 1),
    "HammingWindow": ([i64(4096).reshape(())], {}, 1),
    "HannWindow": ([i64(4096).reshape(())], {}, 1),
    "LRN": ([f(4, 16, 32, 32)], {"size": 5}, 1),
    "LinearAttention": ([f(2, 64, 128), f(2, 64, 128), f(2, 64, 128)],
                        {"q_num_heads": 4, "kv_num_heads": 4, "update_rule": "linear"}, 2),
    "LpNormalization": ([f(256, 256)], {}, 1),
    "MatMulInteger": ([u8(128, 128), u8(128, 128)], {}, 1),
    "MaxRoiPool": ([f(1, 4, 32, 32), np.array([[0, 0, 0, 15, 15]] * 8, np.float32)],
                   {"pooled_shape": [4, 4]}, 1),
    "MeanVarianceNormalization": ([f(4, 8, 32, 32)], {}, 1),
    "MelWeightMatrix": ([i64(40).reshape(()), i64(512).reshape(()), i64(16000).reshape(()),
                         scalar(20.0), scalar(8000.0)], {}, 1),
    "NonMaxSuppression": ([np.sort(rng.random((1, 200, 4), np.float32), -1),
                           rng.random((1, 2, 200), np.float32), i64(20), np.array([0.5], np.float32)], {}, 1),
    "QLinearConv": ([u8(1, 8, 32, 32), scalar(0.1), scalar(3, np.uint8), u8(8, 8, 3, 3), scalar(0.1),
                     scalar(3, np.uint8), scalar(9.0), scalar(3, np.uint8)], {}, 1),
    "QLinearMatMul": ([u8(128, 128), scalar(0.1), scalar(3, np.uint8), u8(128, 128), scalar(0.1),
                       scalar(3, np.uint8), scalar(9.0), scalar(3, np.uint8)], {}, 1),
    "QuantizeLinear": ([f(256, 256), scalar(0.1), scalar(7, np.uint8)], {}, 1),
    "RegexFullMatch": ([strings], {"pattern": ".*1.*"}, 1),
    "Resize": ([f(1, 3, 64, 64), None, np.array([1, 1, 2, 2], np.float32)], {"mode": "linear"}, 1),
    "RoiAlign": ([f(1, 4, 32, 32), np.array([[0, 0, 15, 15]] * 8, np.float32), i64(*[0] * 8)],
                 {"output_height": 4, "output_width": 4}, 1),
    "RotaryEmbedding": ([f(2, 4, 64, 32), f(2, 64, 16), f(2, 64, 16)], {}, 1),
    "STFT": ([f(2, 2048, 1), i64(128).reshape(()), f(256), i64(256).reshape(())], {}, 1),
    "StringConcat": ([strings, strings], {}, 1),
    "StringNormalizer": ([strings], {"case_change_action": "UPPER"}, 1),
    "StringSplit": ([strings], {"delimiter": " "}, 2),
    "TensorScatter": ([f(2, 4, 64, 32), f(2, 4, 8, 32), i64(3, 5)], {}, 1),
    "TfIdfVectorizer": ([rng.integers(0, 9, (64, 64)).astype(np.int64)],
                        {"max_gram_length": 1, "max_skip_count": 0, "min_gram_length": 1, "mode": "TF",
                         "ngram_counts": [0], "ngram_indexes": list(range(9)),
                         "pool_int64s": list(range(9))}, 1),
    "TopK": ([f(64, 1024), i64(10)], {}, 2),
    "Unique": ([rng.integers(0, 500, 20000).astype(np.int64)], {}, 4),
}  # fmt: skip


def make_model(name, inputs, attributes, outputs):
    names = [f"in{k}" if v is not None else "" for k, v in enumerate(inputs)]
    # Sizes are constants, as files have them, unless there is nothing else.
    stored = {n: v for n, v in zip(names, inputs) if n and v.dtype == np.int64 and 1 <= v.ndim and v.size <= 8}
    results = [f"out{k}" for k in range(outputs)]
    infos = [
        helper.make_tensor_value_info(
            n, onnx.TensorProto.STRING if v.dtype == object else helper.np_dtype_to_tensor_dtype(v.dtype), v.shape
        )
        for n, v in zip(names, inputs) if n and n not in stored
    ]  # fmt: skip
    node = helper.make_node(name, names, results, **attributes)
    untyped = [onnx.ValueInfoProto(name=n) for n in results]
    constants = [numpy_helper.from_array(v, n) for n, v in stored.items()]
    graph = helper.make_graph([node], name, infos, untyped, constants)
    opset = min(onnx.defs.onnx_opset_version(), 26) if name not in ("LinearAttention", "CausalConvWithState") else 27
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return model, {n: v for n, v in zip(names, inputs) if n and n not in stored}


def reference_seconds(model, feeds):
    session = ReferenceEvaluator(model)
    expected, best = session.run(None, feeds), float("inf")
    for _ in range(5):
        began = time.perf_counter()
        session.run(None, feeds)
        best = min(best, time.perf_counter() - began)
        if best > 1:
            break
    return expected, best


def ours(binary, folder, model, feeds):
    path, data, out = folder / "m.onnx", folder / "in.npz", folder / "out.npz"
    path.write_bytes(model.SerializeToString())
    np.savez(data, **{n: v.astype(str) if v.dtype == object else v for n, v in feeds.items()})
    run = lambda *args: subprocess.run(
        [binary, *map(str, args)], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    run("run", path, "-i", data, "-o", out, "--threads", 1)
    report = json.loads(run("bench", path, "-i", data, "--threads", 1, "--json", "--duration", 0.3))
    with np.load(out, allow_pickle=True) as arrays:
        return list(dict(arrays).values()), report["latency_us"]["min"] * 1e-6


def main():
    binary, chosen = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    slower = 0
    print(f"{'operator':28} {'here, ms':>10} {'reference, ms':>14} {'ratio':>8}")
    for name, (inputs, attributes, outputs) in CASES.items():
        if chosen and name not in chosen:
            continue
        model, feeds = make_model(name, inputs, attributes, outputs)
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            try:
                expected, theirs = reference_seconds(model, feeds)
            except RuntimeImplementationError:
                print(f"{name:28} the reference has none")
                continue
            results, here = ours(binary, pathlib.Path(folder), model, feeds)
        for a, b in zip(results, expected):
            if np.asarray(b).dtype.kind in "fc":
                np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3, err_msg=name)
        slower += here > theirs
        print(f"{name:28} {here * 1e3:10.4f} {theirs * 1e3:14.4f} {here / theirs:8.3f}", flush=True)
    print(f"{slower} operators are slower here")
    sys.exit(slower > 0)


if __name__ == "__main__":
    main()
