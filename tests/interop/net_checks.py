"""What every net that comes from PyTorch must do: run, train and go back out as PyTorch has it."""

import numpy as np
import torch

from support import expect_near, ort_run
from torch_nets import OPTIMIZERS, LOSSES, export, first_output, make, stack, train_in_double


def as_list(result):
    return [t for r in result for t in (as_list(r) if isinstance(r, tuple) else [r])]


def check_run(tool, net, exporter, opset, seed=1):
    """Exports the net; the command's outputs are PyTorch's. Returns the file and the module."""
    module = make(net, seed)
    model = tool.path(".onnx")
    export(net, module, model, exporter, opset)
    inputs = net.inputs(np.random.default_rng(seed))
    module.eval()
    with torch.no_grad():
        result = module(*(torch.from_numpy(a) for a in inputs.values()))
    ours = tool.run(model, inputs, *(["--optimize", 2]))
    plain = tool.run(model, inputs, *(["--optimize", 0]))
    wanted = as_list(result if isinstance(result, tuple) else (result,))
    assert len(ours) == len(wanted), f"{len(ours)} outputs, expected {len(wanted)}"
    for (name, value), tensor in zip(ours.items(), wanted):
        expect_near(f"output {name}", value, tensor.numpy(), 1e-4)
        expect_near(f"output {name}, not optimised", plain[name], tensor.numpy(), 1e-4)
    return model, module


def check_train(tool, net, exporter, opset, optimizer, steps=8, seed=2):
    """Losses in double are PyTorch's own, and so is what the written file computes."""
    module = make(net, seed)
    model = tool.path(".onnx")
    export(net, module, model, exporter, opset)
    rng = np.random.default_rng(seed)
    batches = [net.inputs(rng) for _ in range(steps)]
    targets = [net.target(rng) for _ in range(steps)]
    wanted = train_in_double(net, module, optimizer, batches, targets)

    trained, losses = tool.train(
        model, stack(batches), np.stack(targets), "--loss", net.loss, "--optimizer", optimizer,
        *OPTIMIZERS[optimizer][1], "--precision", "float64", *net.options,
    )  # fmt: skip
    expect_near("losses", losses, wanted, 1e-7)

    inputs = net.inputs(rng)
    module.eval().float()
    with torch.no_grad():
        after = first_output(module(*(torch.from_numpy(a) for a in inputs.values())))
    (name, ours), *_ = tool.run(trained, inputs).items()
    expect_near("output of the trained file", ours, after.numpy(), 1e-4)
    expect_near("ONNX Runtime's output", ort_run(trained, inputs)[name], ours, 1e-4)


def cases(nets, exporters, train_with):
    """Tests of nets by name. `train_with` names optimizers, taken in turn; none if it is empty."""
    count = 0
    for name, net in nets.items():
        for exporter, opset in exporters:
            label = f"{name}_{exporter}_{opset}"
            yield (
                f"run_{label}",
                lambda tool, n=net, e=exporter, o=opset: check_run(tool, n, e, o) and None,
            )
            if train_with and net.loss in LOSSES:
                optimizer = train_with[count % len(train_with)]
                count += 1
                yield (
                    f"train_{label}_{optimizer}",
                    lambda tool, n=net, e=exporter, o=opset, p=optimizer: check_train(
                        tool, n, e, o, p
                    ),
                )
