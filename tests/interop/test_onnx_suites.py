"""The test suites that the onnx package ships beside its node tests, which `make test` runs."""

import pathlib
import shutil

import numpy as np
import onnx
from onnx import numpy_helper

DATA = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
# So many cases there are at least.
SUITES = {"simple": 23, "pytorch-converted": 82, "pytorch-operator": 35}


def run_suite(folder, count):
    def test(tool):
        for level in (0, 2):
            last = tool("test", folder, "--optimize", level).splitlines()[-1]
            passed = int(last.split()[0])
            assert passed >= count and "0 failed, 0 skipped" in last, last

    return test


def light_case(path):
    """An image model with weights that are all alike, whose expected output lies beside it. The input
    is that of onnx.backend.test.runner.Runner.generate_dummy_data."""

    def test(tool):
        model = onnx.load(path)
        weights = {i.name for i in model.graph.initializer}
        folder = tool.directory / path.stem
        data = folder / "test_data_set_0"
        data.mkdir(parents=True)
        shutil.copy(path, folder / "model.onnx")
        inputs = [i for i in model.graph.input if i.name not in weights]
        for k, info in enumerate(inputs):
            dims = [d.dim_value or 1 for d in info.type.tensor_type.shape.dim]
            count = np.prod(dims)
            values = (np.arange(count).reshape(dims) / count).astype(np.float32)
            message = numpy_helper.from_array(values, info.name)
            (data / f"input_{k}.pb").write_bytes(message.SerializeToString())
        for k in range(len(model.graph.output)):
            shutil.copy(path.with_name(f"{path.stem}_output_{k}.pb"), data / f"output_{k}.pb")
        run_suite(folder, 1)(tool)

    return test


def cases():
    for name, count in SUITES.items():
        yield name, run_suite(DATA / name, count)
    light = sorted((DATA / "light").glob("light_*.onnx"))
    assert len(light) >= 9, light
    for path in light:
        yield path.stem, light_case(path)
