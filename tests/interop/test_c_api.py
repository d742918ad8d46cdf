"""onnxrun.h from Python's ctypes: numpy's memory without a copy, against PyTorch."""

import ctypes
import os
import pathlib
import sys

import numpy as np
import torch
from torch import nn

from support import expect_near, initializers

TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7, np.dtype(np.float64): 11}
DTYPES = {number: dtype for dtype, number in TYPES.items()}


class CTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("dims", ctypes.POINTER(ctypes.c_int64)),
        ("rank", ctypes.c_int32), ("type", ctypes.c_int32),
    ]  # fmt: skip


class CArray(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("tensor", CTensor)]


def arrays_for(**values):
    """numpy arrays as a list of onnxrun_array, and how many there are."""
    views = {name: view(value) for name, value in values.items()}
    given = (CArray * len(views))(*(CArray(name.encode(), v) for name, v in views.items()))
    given.keep = views
    return given, ctypes.c_size_t(len(views))


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
        # TensorFlow, which other tests import, brings a protobuf of its own into the process.
        path = str(tool.build("packages") / "package" / "libonnxrun.so")
        self.c = ctypes.CDLL(path, mode=os.RTLD_DEEPBIND)
        self.c.onnxrun_error.restype = ctypes.c_char_p
        self.c.onnxrun_names_get.restype = ctypes.c_char_p
        for name in ("onnxrun_options_new", "onnxrun_fit_trainer"):
            getattr(self.c, name).restype = ctypes.c_void_p
        for name in ("onnxrun_arrays_count", "onnxrun_names_count"):
            getattr(self.c, name).restype = ctypes.c_size_t

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
            for one in value if isinstance(value, list) else [value]:
                self("options_set", options, name.encode(), str(one).encode())
        return options

    def arrays(self, handle):
        """The arrays of a handle by name, copied; the handle is freed."""
        result = {}
        for k in range(self.c.onnxrun_arrays_count(handle)):
            array = CArray()
            self("arrays_get", handle, ctypes.c_size_t(k), ctypes.byref(array))
            result[array.name.decode()] = array_of(array.tensor).copy()
        self.c.onnxrun_arrays_free(handle)
        return result


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


def test_fits_streams_and_evaluates(tool):
    """Arrays that stay in their files, another scale, an average; numbers are PyTorch's."""
    library = Library(tool)
    torch_model, path = net(tool)
    rng = np.random.default_rng(1)
    x = rng.integers(0, 255, size=(40, 5)).astype(np.float32)
    target = rng.integers(0, 3, size=40)
    x_file, val_file = tool.path(".npy"), tool.path(".npy")
    np.save(x_file, x)
    np.save(val_file, x[:9])
    model = library.make("model_load", str(path).encode())
    options = library.options(
        loss="cross_entropy", lr=0.5, epochs=2, batch_size=8, shuffle=0, scale=f"x={1 / 255!r}",
        stream=f"x={x_file}", validation_stream=f"x={val_file}", metrics="accuracy", ema=0.5,
    )  # fmt: skip
    data, validation = arrays_for(target=target), arrays_for(target=target[:9])
    fit = ctypes.c_void_p()
    library("fit_new", model, options, *data, *validation, ctypes.byref(fit))
    library("fit_run", fit)

    averaged = torch.optim.swa_utils.AveragedModel(
        torch_model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5)
    )
    optimizer = torch.optim.SGD(torch_model.parameters(), lr=0.5)
    inputs, labels = torch.from_numpy(x) / 255, torch.from_numpy(target)
    for _ in range(2):
        for k in range(0, 40, 8):
            optimizer.zero_grad()
            nn.functional.cross_entropy(torch_model(inputs[k : k + 8]), labels[k : k + 8]).backward()
            optimizer.step()
            averaged.update_parameters(torch_model)
    with torch.no_grad():
        scores = averaged(inputs[:9])
    expected = nn.functional.cross_entropy(scores, labels[:9]).item()
    found = library.arrays(library.make("fit_evaluate", fit, b"validation"))
    expect_near("loss", found["loss"], expected, 1e-5)
    expect_near("accuracy", found["accuracy"], (scores.argmax(1) == labels[:9]).double().mean().item(), 1e-12)

    # What is written knows how its data were prepared, and an evaluation can do the same.
    saved = tool.path(".onnx")
    library("fit_save", fit, str(saved).encode(), 0)
    again = library.make("model_load", str(saved).encode())
    expect_near("scale", library.arrays(library.make("model_preparation", again))["x.scale"], 1 / 255, 1e-15)
    choice = library.options(loss="cross_entropy", as_trained=1, stream=f"x={val_file}", confusion=1)
    evaluator = library.make("evaluator_new", again, choice, *validation)
    result = library.arrays(library.make("evaluator_run", evaluator))
    expect_near("loss again", result["loss"], expected, 1e-5)
    assert result["confusion"].sum() == 9
    assert np.trace(result["confusion"]) == (scores.argmax(1) == labels[:9]).sum()
    library.c.onnxrun_evaluator_free(evaluator)
    library.c.onnxrun_fit_free(fit)
    library.c.onnxrun_model_free(again)
    library.c.onnxrun_model_free(model)


def test_trains_as_the_file_says(tool):
    sys.path.append(str(pathlib.Path(__file__).parent.parent / "data"))
    from make_training_info import make_model

    library, content = Library(tool), make_model("Momentum").SerializeToString()
    model = library.make("model_load_bytes", content, len(content))
    options = library.options(seed=3, threads=1)
    training = library.make("stored_training_new", model, options)
    library.c.onnxrun_options_free(options)
    library.c.onnxrun_model_free(model)  # the training keeps it
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 3)).astype(np.float32)
    t = (x @ np.array([[1], [-2], [3]], np.float32)).astype(np.float32)
    library("stored_training_initialize", training)
    state = library.make("stored_training_state", training)
    w = library.arrays(state)["W"]
    assert np.any(w), "the initialization draws W"
    outputs = ctypes.c_void_p()
    library("stored_training_step", training, *arrays_for(x=x, t=t), ctypes.byref(outputs))
    loss = library.arrays(outputs)["loss"]
    expect_near("the first loss", loss, np.mean((x @ w - t) ** 2), 1e-5)
    for _ in range(60):
        library("stored_training_step", training, *arrays_for(x=x, t=t), None)
    outputs = ctypes.c_void_p()
    library("stored_training_step", training, *arrays_for(x=x, t=t), ctypes.byref(outputs))
    assert library.arrays(outputs)["loss"] < 0.2 * loss
    library("stored_training_set_state", training, *arrays_for(W=np.zeros((3, 1), np.float32)))
    path = tool.path(".onnx")
    library("stored_training_save", training, str(path).encode(), 0)
    assert not np.any(initializers(path)["W"])
    library.c.onnxrun_stored_training_free(training)
