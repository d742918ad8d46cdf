#!/usr/bin/env python3
"""Trained weights back into PyTorch.

    to_pytorch.py EXPORTED.onnx TRAINED.onnx BEFORE.pt AFTER.pt

BEFORE.pt is the state_dict of the module as it was exported, by `torch.save(module.state_dict(), ...)`.
AFTER.pt gets the trained one, for `module.load_state_dict(torch.load("AFTER.pt"))`; or in a program:

    module.load_state_dict(trained_state(module.state_dict(), "exported.onnx", "trained.onnx"))
"""

import sys

import numpy as np
import torch

from carry import Weights

EPS = 1e-5  # of nn.BatchNorm*d, which no state_dict holds


def trained_state(state, exported, trained, missing=None):
    """The state_dict that makes the module compute what the trained file does.

    What cannot be carried is an error, or left as it is and put into the list `missing`, if there is one:
    weights that the file has not, and tensors of the file that were made from weights and trained.
    """
    weights, result, lost = Weights(exported, trained), dict(state), []
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            continue
        found = weights.find(tensor.detach().cpu().numpy(), name)
        if found is None:
            lost.append(name)
        else:
            result[name] = torch.tensor(found).reshape(tensor.shape)
    for prefix in [n.removesuffix("running_var") for n in state if n.endswith("running_var")]:
        lost = [n for n in lost if n not in folded_norm(weights, state, result, prefix, lost)]
    lost = [n for n in lost if n not in added_biases(weights, state, result, lost)] + weights.left()
    if missing is not None:
        missing.extend(lost)
    elif lost:
        raise ValueError("these are not both in the module and in the file: " + ", ".join(lost))
    return result


def folded_norm(weights, state, result, prefix, lost):
    """A convolution that took up the normalisation behind it, weight * scale and (bias - mean) * scale +
    shift: the norm keeps its statistics and its scale, the convolution's weight and the norm's shift
    move. Returns what was put right."""
    array = lambda name: state[name].detach().cpu().numpy().astype(np.float64)
    if f"{prefix}weight" not in state:
        return []
    scale = array(f"{prefix}weight") / np.sqrt(array(f"{prefix}running_var") + EPS)
    for name in [n for n in lost if state[n].dim() > 1]:
        rows = scale.reshape(-1, *[1] * (state[name].dim() - 1))
        if len(scale) != state[name].shape[0]:
            continue
        weight = weights.near(array(name) * rows)
        bias_name = name.removesuffix("weight") + "bias"
        offset = array(f"{prefix}running_mean") - (array(bias_name) if bias_name in state else 0)
        shift = weights.near(array(f"{prefix}bias") - offset * scale)
        if weight is not None and shift is not None:
            result[name] = torch.tensor(weight / rows).to(state[name])
            result[f"{prefix}bias"] = torch.tensor(shift + offset * scale).to(state[name])
            keep = ("weight", "bias", "running_mean", "running_var")
            for n in [bias_name, *(prefix + k for k in keep[:1] + keep[2:])]:
                if n in state:
                    result[n] = state[n]
            return [name, bias_name, *(prefix + k for k in keep)]
    return []


def added_biases(weights, state, result, lost):
    """Two biases whose sum the exporter stored, as of a recurrent layer: the first takes it all."""
    right = []
    for first in [n for n in lost if ".bias_ih" in n or n.startswith("bias_ih")]:
        second = first.replace("bias_ih", "bias_hh")
        total = weights.near((state[first] + state[second]).detach().cpu().numpy())
        if total is not None:
            result[first], result[second] = torch.tensor(total) - state[second], state[second]
            right += [first, second]
    return right


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    torch.save(trained_state(torch.load(sys.argv[3]), *sys.argv[1:3]), sys.argv[4])
