"""What an export lost is said, and only that."""

import json
import warnings

import torch
from torch import nn

LEGACY = {"training": torch.onnx.TrainingMode.TRAINING, "do_constant_folding": False}


class Net(nn.Module):
    def __init__(self, twins=False):
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.2)
        self.a, self.b, self.out = nn.Linear(144, 5), nn.Linear(144, 5), nn.Linear(5, 3)
        if twins:
            self.b.load_state_dict(self.a.state_dict())

    def forward(self, x):
        x = self.drop(torch.relu(self.norm(self.conv(x)))).flatten(1)
        return self.out(torch.tanh(self.a(x)) + torch.relu(self.b(x)))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.emb.weight

    def forward(self, x):
        return self.head(self.emb(x).sum(1))


def rules(tool, path):
    found = json.loads(tool("check", path, "--trainable", "--json"))["findings"]
    return {f["rule"]: f["message"] for f in found}


def exported(tool, module, x, **options):
    path = tool.path(".onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, x, str(path), verbose=False, **options)
    return path


def test_pytorch(tool):
    image, tokens = torch.zeros(2, 1, 8, 8), torch.zeros(2, 3, dtype=torch.long)
    lost = rules(tool, exported(tool, Net().eval(), image, dynamo=True))
    assert "'norm'" in lost["folded-batchnorm"] and "no-dropout" in lost, lost
    assert "lost-parameters" not in lost
    assert not rules(tool, exported(tool, Net().train(), image, dynamo=True, optimize=False))
    lost = rules(tool, exported(tool, Net(twins=True).eval(), image, dynamo=True))
    assert "'b.weight', 'b.bias'" in lost["lost-parameters"], lost
    assert not rules(tool, exported(tool, Tied().eval(), tokens, dynamo=True))
    lost = rules(tool, exported(tool, Net().eval(), image, dynamo=False))
    assert list(lost) == ["folded-batchnorm"], lost
    assert not rules(tool, exported(tool, Net().train(), image, dynamo=False, **LEGACY))


def test_keras(tool):
    import keras
    import numpy as np

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(3)])
    model(np.zeros((1, 6)))
    path = tool.path(".onnx")
    model.export(str(path), format="onnx", verbose=False)
    assert "no-biases" in rules(tool, path)
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 6)), np.ones((4, 3)), verbose=0)
    model.export(str(path), format="onnx", verbose=False)
    assert not rules(tool, path)
