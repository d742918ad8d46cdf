#!/usr/bin/env python3
"""Trained weights back into Keras.

    to_keras.py EXPORTED.onnx TRAINED.onnx BEFORE.keras AFTER.keras

BEFORE.keras is the model as it was exported, by `model.save(...)`. Models of classes of one's own are
easier put right in a program:

    load_trained(model, "exported.onnx", "trained.onnx")
"""

import sys

import numpy as np

from carry import Weights


def load_trained(model, exported, trained, missing=None):
    """Sets the weights that make the model compute what the trained file does, by `set_weights`.

    What cannot be carried is an error, or left as it is and put into the list `missing`, if there is one:
    weights that the file has not, and tensors of the file that were made from weights and trained.
    """
    weights, values, lost = Weights(exported, trained), model.get_weights(), []
    for k, (variable, value) in enumerate(zip(model.weights, values)):
        if value.dtype.kind != "f":
            continue
        found = weights.find(value)
        if found is None:
            lost.append(variable.path)
        else:
            values[k] = found
    for layer in all_layers(model):
        if type(layer).__name__ == "BatchNormalization":
            lost = [n for n in lost if n not in folded_norm(weights, model, values, layer)]
    lost += weights.left()
    if missing is not None:
        missing.extend(lost)
    elif lost:
        raise ValueError("these are not both in the model and in the file: " + ", ".join(lost))
    model.set_weights(values)


def all_layers(layer):
    yield layer
    for inner in getattr(layer, "layers", []):
        yield from all_layers(inner)


def folded_norm(weights, model, values, layer):
    """A normalisation that is stored as a product and a sum: its statistics stay, gamma and beta move.
    Returns what was put right."""
    at = {v.path: k for k, v in enumerate(model.weights)}
    gamma, beta, mean, variance = (v.numpy().astype(np.float64) for v in layer.weights)
    deviation = np.sqrt(variance + layer.epsilon)
    scale, shift = weights.near(gamma / deviation), weights.near(beta - mean * gamma / deviation)
    if scale is None or shift is None:
        return []
    paths = [v.path for v in layer.weights]
    new = (scale * deviation, shift + mean * scale, mean, variance)
    for path, value in zip(paths, new):
        values[at[path]] = value.astype(np.float32)
    return paths


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    import keras

    loaded = keras.saving.load_model(sys.argv[3])
    load_trained(loaded, *sys.argv[1:3])
    loaded.save(sys.argv[4])
