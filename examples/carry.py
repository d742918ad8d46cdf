"""Where an exporter put the weights of a model: what to_pytorch.py and to_keras.py share.

A weight is looked for in the file that was exported, by its values: as it was, with its axes in another
order, in pieces (the gates of a recurrent layer are sorted anew, directions and biases are put
together), or inside a normalisation that was computed ahead. What stands at the same places of the
trained file is its trained value; what has no place there is named.
"""

import itertools
import re

import numpy as np
import onnx
from onnx import numpy_helper


def tensors(path):
    """Every stored floating-point tensor: initializers, values of Constant nodes, those of bodies."""
    found = {}

    def visit(graph, prefix):
        for t in graph.initializer:
            found[prefix + t.name] = numpy_helper.to_array(t)
        for node in graph.node:
            for a in node.attribute:
                if node.op_type == "Constant" and a.type == onnx.AttributeProto.TENSOR:
                    found[prefix + node.output[0]] = numpy_helper.to_array(a.t)
                elif a.type == onnx.AttributeProto.GRAPH:
                    visit(a.g, f"{prefix}{node.output[0]}/")

    visit(onnx.load(str(path)).graph, "")
    return {n: t for n, t in found.items() if t.dtype.kind == "f"}


def unshared(path, before, after):
    """What the training told apart, as it was before: copies of stored tensors, and biases of zeros."""
    said = {p.key: p.value for p in onnx.load(str(path)).metadata_props}.get("onnxrun.unshared", "")
    for line in said.splitlines():
        name, _, source = line.rpartition(" from ")
        if source in before:
            yield name, before[source]
        elif line.endswith(" added") and line[:-6] in after:
            yield line[:-6], np.zeros_like(after[line[:-6]])


def folded_origins(path):
    """The weight that a tensor was computed from, where PyTorch's exporter says that it is one alone."""
    origins = {}
    for v in onnx.load(str(path)).graph.value_info:
        for p in getattr(v, "metadata_props", ()):
            names = re.findall("'([^']*)'", p.value) if p.key.endswith("folded_from") else ()
            if len(names) == 1:
                origins[v.name] = names[0]
    return origins


def by_number(name):
    """Sorts "MatMul_9" before "MatMul_10"."""
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)]


def is_plain(values):
    """No numbers to tell it by: all are equal."""
    return values.size == 0 or np.all(values == values.flat[0])


def turned(array):
    """The array, and with its axes in every other order."""
    return [(array.transpose(axes), axes) for axes in itertools.permutations(range(array.ndim))]


class Weights:
    """The tensors of the exported file and of the trained one, and which of their numbers were fetched."""

    def __init__(self, exported, trained):
        self.before, self.after = tensors(exported), tensors(trained)
        self.before.update(dict(unshared(trained, self.before, self.after)))
        self.origins = folded_origins(trained)
        for name, value in self.before.items():
            if name not in self.after or self.after[name].shape != value.shape:
                raise ValueError(f"{trained}: '{name}' of {exported} is not there")
        self.places = {n: np.arange(t.size).reshape(t.shape) for n, t in self.before.items()}
        self.fetched = {n: np.zeros(t.size, bool) for n, t in self.before.items()}

    def left(self):
        """Tensors that training moved and no weight was fetched from: what the exporter computed from
        weights, or stored a second time, and what was then trained by itself."""
        moved = {n: (t != self.after[n]).ravel() for n, t in self.before.items()}
        return [n for n, m in moved.items() if np.any(m & ~self.fetched[n])]

    def fetch(self, name, places):
        self.fetched[name][places.ravel()] = True
        return self.after[name].ravel()[places]

    def find(self, value, name=None):
        """The trained value of a weight, or None."""
        stored = self.before.get(name)
        if stored is not None and stored.shape == value.shape and np.array_equal(stored, value):
            found = self.fetch(name, self.places[name])
        elif is_plain(value):
            return self.plain(value)
        else:
            found = self.in_pieces(value, name)
        if found is not None:
            self.fetch_copies(value, found)
        return found

    def in_pieces(self, value, name=None):
        for axis, count in itertools.product(range(value.ndim), (1, 2, 3, 4, 6, 8)):
            if value.shape[axis] % count or (count == 1 and axis):
                continue
            pieces = [self.locate(p, name) for p in np.split(value, count, axis)]
            if all(p is not None for p in pieces):
                return np.concatenate([self.fetch(*p) + self.twin(*p, value) for p in pieces], axis)
        return None

    def twin(self, name, places, value):
        """An LSTM node has two biases, added to each other. Where a model has one, its file has zeros for
        the second, which train like the first."""
        stored = self.before[name]
        if value.ndim != 1 or stored.ndim != 2 or stored.shape[1] != 2 * value.size:
            return 0
        second = places + value.size
        if second.max() >= stored.size or np.any(stored.ravel()[second]):
            return 0
        return self.fetch(name, second)

    def locate(self, value, weight=None):
        """The tensor that has this piece's numbers next to each other, and where: by number. Of equal
        ones that of the weight's name, then the first that no other weight came from."""
        if is_plain(value) and value.size > 1:
            return None

        def order(item):
            other, origin = item[1].size != value.size, self.origins.get(item[0])
            rank = 0 if origin and origin == weight else 1 if origin is None else 2
            return rank, other, bool(self.fetched[item[0]].all()), item[1].size, by_number(item[0])

        stored = sorted(self.before.items(), key=order)
        for (wanted, axes), (name, t) in itertools.product(turned(value), stored):
            for columns in (False, True):
                flat = (t.swapaxes(-1, -2) if columns and t.ndim > 1 else t).ravel()
                for at in np.flatnonzero(flat[: max(flat.size - value.size + 1, 0)] == wanted.flat[0]):
                    if not np.array_equal(flat[at : at + value.size], wanted.ravel()):
                        continue
                    places = self.places[name]
                    places = (places.swapaxes(-1, -2) if columns and t.ndim > 1 else places).ravel()
                    places = places[at : at + value.size].reshape(wanted.shape)
                    return name, places.transpose(np.argsort(axes))
        return None

    def fetch_copies(self, value, found):
        """Where the file has the weight again, trained alike, that is fetched, too."""
        for name, t in self.before.items():
            if t.size != value.size or self.fetched[name].all():
                continue
            for (before, axes), after in zip(turned(value), turned(found)):
                if np.array_equal(t.ravel(), before.ravel()) and np.array_equal(
                    self.after[name].ravel(), after[0].ravel()
                ):
                    self.fetched[name][:] = True

    def plain(self, value):
        """Fresh zeros or ones: exporters merge equal tensors, so any of the same size will do, as long as
        they all were trained alike."""
        same = [n for n, t in self.before.items() if t.size == value.size and np.all(t == value.flat[:1])]
        if not same or any(not np.array_equal(self.after[n], self.after[same[0]]) for n in same):
            return None
        return [self.fetch(n, self.places[n]) for n in same][0].reshape(value.shape)

    def near(self, value):
        """The trained value of a tensor that was computed ahead to be this, but for rounding, or None."""
        for wanted, axes in turned(value):
            for name, t in self.before.items():
                if t.size == value.size and np.allclose(t.ravel(), wanted.ravel(), 1e-4, 1e-6):
                    places = self.places[name].reshape(wanted.shape).transpose(np.argsort(axes))
                    return self.fetch(name, places)
        return None
