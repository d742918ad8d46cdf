"""Other programs that run the nets of nets.py, for tables.py.

A peer is a function of a model and its inputs by name. It returns the output and a function that
gives the best time of a further run in a round. Missing says why there is none.
"""

import importlib.metadata
import sys

import numpy as np
from timing import Missing, best_time


def onnxruntime_call(model, inputs):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    expected = session.run(None, inputs)[0]
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value))
    binding.bind_ortvalue_output(
        "y", onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros_like(expected))
    )
    return expected, lambda: best_time(lambda: session.run_with_iobinding(binding))


def openvino_call(model, inputs):
    import openvino

    if any(value.dtype == np.float64 for value in inputs.values()):
        raise Missing("it computes doubles as floats")
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(model), "CPU", settings)
    request = compiled.create_infer_request()
    for i, value in enumerate(inputs.values()):
        request.set_input_tensor(i, openvino.Tensor(value, shared_memory=True))
    request.infer()
    expected = request.get_output_tensor(0).data.copy()
    # Sharing spares the copies that are made by default.
    return expected, lambda: best_time(lambda: request.infer(share_inputs=True, share_outputs=True))


def inference_peers():
    """Those installed here: {name: (function, version)}."""
    peers = {}
    for name, module, call in [
        ("ONNX Runtime", "onnxruntime", onnxruntime_call), ("OpenVINO", "openvino", openvino_call),
    ]:  # fmt: skip
        try:
            peers[name] = (call, importlib.metadata.version(module))
        except importlib.metadata.PackageNotFoundError:
            print(f"{name} is left out: it is not installed here", file=sys.stderr)
    return peers
