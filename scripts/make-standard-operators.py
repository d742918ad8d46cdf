#!/usr/bin/env python3
"""Writes tests/data/standard_operators.json: what the ONNX standard says of its operators.

    scripts/make-standard-operators.py > tests/data/standard_operators.json

Needs an onnx package (1.23 or newer) that has the opset which the library speaks. A line is one operator:
versions, and of the newest one inputs, outputs ([name, type, kind], variadic ones also [..., all
of one type, least number]), attributes ({name: [kind, required, default]}), type variables, and
whether the standard calls an input differentiable.
tests/ops/contract_test.cpp holds the operator registry to it.
"""

import json

from onnx import AttributeProto, TensorProto, defs, helper

OPSET = 28
KINDS = {"Single": "single", "Optional": "optional", "Variadic": "variadic"}


def params(formal):
    rows = []
    for p in formal:
        kind = KINDS[p.option.name.split(".")[-1]]
        row = [p.name, p.type_str, kind]
        rows.append(row + [p.is_homogeneous, p.min_arity] if kind == "variadic" else row)
    return rows


def default_of(attribute):
    proto = attribute.default_value
    if proto.type == AttributeProto.UNDEFINED:
        return None
    value = helper.get_attribute_value(proto)
    if isinstance(value, TensorProto):
        return None
    plain = lambda v: v.decode() if isinstance(v, bytes) else v
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else plain(value)


def attributes(schema):
    return {name: [a.type.name.split(".")[-1].lower(), a.required, default_of(a)]
            for name, a in sorted(schema.attributes.items())}


def main():
    assert defs.onnx_opset_version() >= OPSET, "this onnx package is too old"
    versions = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version > OPSET:
            continue
        versions.setdefault((schema.domain, schema.name), []).append(schema)
    lines = []
    for (domain, name), schemas in sorted(versions.items()):
        newest = max((s for s in schemas if not s.deprecated), key=lambda s: s.since_version)
        lines.append(json.dumps({
            "domain": domain,
            "name": name,
            "since": sorted(s.since_version for s in schemas),
            "inputs": params(newest.inputs),
            "outputs": params(newest.outputs),
            "attributes": attributes(newest),
            "differentiable": any(p.differentiation_category.name.split(".")[-1] == "Differentiable"
                                  for p in newest.inputs),
            "types": {c.type_param_str: sorted(c.allowed_type_strs)
                      for c in newest.type_constraints},
        }))
    print("[" + ",\n".join(lines) + "]")


if __name__ == "__main__":
    main()
