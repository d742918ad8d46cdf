#!/usr/bin/env python3
"""Writes tests/data/microsoft_operators.json: what ONNX Runtime says of its own operators.

    scripts/make-microsoft-operators.py NAME... > tests/data/microsoft_operators.json

Needs onnxruntime. The lines have the form of scripts/make-standard-operators.py; nothing is
called differentiable. Domain com.microsoft, and the standard's for operators that ONNX Runtime
keeps there.
"""

import json
import sys

import onnx
from onnx import defs
from onnxruntime.capi import onnxruntime_pybind11_state as state

KINDS = {"Single": "single", "Optional": "optional", "Variadic": "variadic"}


def params(formal):
    rows = []
    for p in formal:
        kind = KINDS[str(p.option).split(".")[-1]]
        row = [p.name, p.typeStr, kind]
        rows.append(row + [p.isHomogeneous, 1] if kind == "variadic" else row)
    return rows


def default_of(attribute):
    proto = onnx.AttributeProto()
    proto.ParseFromString(attribute._default_value)
    if proto.type == onnx.AttributeProto.UNDEFINED:
        return None
    value = onnx.helper.get_attribute_value(proto)
    return value.decode() if isinstance(value, bytes) else value


def attributes(schema):
    return {
        name: [str(a.type).split(".")[-1].lower(), a.required, default_of(a)]
        for name, a in sorted(schema.attributes.items())
    }


def main():
    standard = {s.name for s in defs.get_all_schemas()}
    lines = []
    for schema in sorted(state.get_all_operator_schema(), key=lambda s: (s.domain, s.name)):
        own = schema.domain == "com.microsoft" or not schema.domain and schema.name not in standard
        if not own or schema.deprecated or schema.name not in sys.argv[1:]:
            continue
        lines.append(json.dumps({
            "domain": schema.domain,
            "name": schema.name,
            "since": [schema.since_version],
            "inputs": params(schema.inputs),
            "outputs": params(schema.outputs),
            "attributes": attributes(schema),
            "differentiable": False,
            "types": {c.type_param_str: sorted(c.allowed_type_strs)
                      for c in schema.type_constraints},
        }))
    print("[" + ",\n".join(lines) + "]")


if __name__ == "__main__":
    main()
