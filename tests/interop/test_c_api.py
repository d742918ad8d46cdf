"""onnxrun.h from Python's ctypes: numpy's memory without a copy, against PyTorch."""

import ctypes
import os
import subprocess

import numpy as np
import torch
from torch import nn

from support import expect_near

TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7, np.dtype(np.float64): 11}
DTYPES = {number: dtype for dtype, number in TYPES.items()}


class CTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("dims", ctypes.POINTER(ctypes.c_int64)),
        ("rank", ctypes.c_int32), ("type", ctypes.c_int32),
    ]  # fmt: skip


def view(array):
    """The array's own memory as an onnxrun_tensor, which keeps it."""
    assert array.flags.c_contiguous
    dims = (ctypes.c_int64 * array.ndim)(*array.shape)
    tensor = CTensor(array.ctypes.data, dims, array.ndim, TYPES[array.dtype])
    tensor.keep = (array, dims)
    return tensor


def array_of(tensor):
    """The library's memory as an array."""
    shape = tuple(tensor.dims[i] for i in range(tensor.rank))
    dtype = DTYPES[tensor.type]
    count = int(np.prod(shape, dtype=np.int64))
    memory = (ctypes.c_char * (count * dtype.itemsize)).from_address(tensor.data)
    return np.frombuffer(memory, dtype=dtype).reshape(shape)


class Library:
    def __init__(self, tool):
        build = tool.binary.parent
        subprocess.run(["cmake", "--build", str(build), "--target", "packages"],
                       check=True, capture_output=True)  # fmt: skip
        # TensorFlow, which other tests import, brings a protobuf of its own into the process.
        path = str(build / "package" / "libonnxrun.so")
        self.c = ctypes.CDLL(path, mode=os.RTLD_DEEPBIND)
        self.c.onnxrun_error.restype = ctypes.c_char_p
        for name in ("onnxrun_options_new", "onnxrun_fit_trainer"):
            getattr(self.c, name).restype = ctypes.c_void_p

    def __call__(self, name, *arguments):
        status = getattr(self.c, f"onnxrun_{name}")(*arguments)
        assert status == 0, f"{name}: {status}, {self.c.onnxrun_error().decode()}"

    def make(self, name, *arguments):
        handle = ctypes.c_void_p()
        self(name, *arguments, ctypes.byref(handle))
        return handle

    def options(self, **values):
        options = ctypes.c_void_p(self.c.onnxrun_options_new())
        for name, value in values.items():
            self("options_set", options, name.encode(), str(value).encode())
        return options


def net(tool):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    path = tool.path(".onnx")
    torch.onnx.export(model, (torch.randn(4, 5),), path, input_names=["x"], output_names=["y"],
                      dynamo=False, dynamic_axes={"x": {0: "batch"}})  # fmt: skip
    return model, path


def test_runs_on_numpys_memory(tool):
    library = Library(tool)
    torch_model, path = net(tool)
    model = library.make("model_load_bytes", path.read_bytes(), path.stat().st_size)
    session = library.make("session_new", model, None)
    x, y = (
        np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32),
        np.zeros((4, 3), np.float32),
    )
    bound = view(x), view(y)
    library("session_bind_input", session, b"x", ctypes.byref(bound[0]))
    library("session_bind_output", session, b"y", ctypes.byref(bound[1]))
    for _ in range(2):
        library("session_run", session)
        expect_near("y", y, torch_model(torch.from_numpy(x)).detach().numpy(), 1e-6)
        x *= -2  # the next run reads what stands here then
    library.c.onnxrun_session_free(session)
    library.c.onnxrun_model_free(model)


def test_own_optimizer_on_the_librarys_gradients(tool):
    library = Library(tool)
    torch_model, path = net(tool)
    model = library.make("model_load", str(path).encode())
    options = library.options(loss="cross_entropy")
    trainer = library.make("trainer_new", model, options)
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    target = np.array([0, 1, 2, 0, 1, 2], np.int64)
    tensors = view(x), view(target)
    library("trainer_bind", trainer, b"x", ctypes.byref(tensors[0]))
    library("trainer_bind", trainer, b"target", ctypes.byref(tensors[1]))
    flat = {}
    for name in ("parameters", "gradients"):
        tensor = CTensor()
        library("trainer_buffer", trainer, name.encode(), ctypes.byref(tensor))
        flat[name] = array_of(tensor)
    optimizer = torch.optim.SGD(torch_model.parameters(), lr=0.1, momentum=0.9)
    velocity = np.zeros_like(flat["gradients"])
    loss = ctypes.c_double()
    for step in range(20):
        library("trainer_gradients", trainer, ctypes.byref(loss))
        velocity = np.float32(0.9) * velocity + flat["gradients"]
        flat["parameters"][...] -= np.float32(0.1) * velocity
        optimizer.zero_grad()
        expected = nn.functional.cross_entropy(
            torch_model(torch.from_numpy(x)), torch.from_numpy(target)
        )
        expected.backward()
        optimizer.step()
        expect_near(f"loss of step {step}", loss.value, expected.item(), 1e-5)
    library.c.onnxrun_trainer_free(trainer)
    library.c.onnxrun_options_free(options)
    library.c.onnxrun_model_free(model)
