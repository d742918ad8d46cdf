#!/usr/bin/env python3
"""Writes exporter/opset_changes_table.cpp: what each opset after 18 changed in ONNX's operators.

    scripts/make-opset-changes.py > exporter/opset_changes_table.cpp
    clang-format -i exporter/opset_changes_table.cpp

Needs the newest onnx package. exporter/opset_changes.h says what a row means.
"""

from onnx import defs

FIRST = 18
TYPES = {
    "float": "Float32", "uint8": "UInt8", "int8": "Int8", "uint16": "UInt16", "int16": "Int16",
    "int32": "Int32", "int64": "Int64", "string": "String", "bool": "Bool", "float16": "Float16",
    "double": "Float64", "uint32": "UInt32", "uint64": "UInt64", "complex64": "Complex64",
    "complex128": "Complex128", "bfloat16": "BFloat16", "float8e4m3fn": "Float8E4M3FN",
    "float8e4m3fnuz": "Float8E4M3FNUZ", "float8e5m2": "Float8E5M2",
    "float8e5m2fnuz": "Float8E5M2FNUZ", "uint4": "UInt4", "int4": "Int4",
    "float4e2m1": "Float4E2M1", "float8e8m0": "Float8E8M0", "uint2": "UInt2", "int2": "Int2",
    "float6e2m3": "Float6E2M3", "float6e3m2": "Float6E3M2",
}
# Versions that differ in their text only, read by a person: what is new in them as (types, uses,
# unless), or None if nothing is.
READ = {
    ("DepthToSpace", 28): None,
    ("Mod", 28): (["float", "float16", "double", "bfloat16"], [], "fmod"),
    ("Pad", 19): ([], ["mode=wrap"], ""),
    ("ReduceLogSum", 28): None,
    ("ReduceLogSumExp", 28): None,
    ("Resize", 19): ([], ["coordinate_transformation_mode=half_pixel_symmetric"], ""),
}


def element(text):
    """'seq(tensor(float))' -> 'float'"""
    for wrapper in ("optional(", "seq(", "tensor("):
        if text.startswith(wrapper):
            text = text[len(wrapper):-1]
    return text


def types_of(params):
    return {element(t) for p in params for t in p.types}


def max_count(params):
    variadic = params and params[-1].option.name.endswith("Variadic")
    return 0x7FFF if variadic else len(params)


def change(old, new):
    """(form, types, inputs, outputs, uses, unless) of a row; None if nothing is new."""
    if old is None:
        return True, set(), 0, 0, [], ""
    inputs, outputs = max_count(old.inputs), max_count(old.outputs)
    before, after = [p.option for p in old.inputs], [p.option for p in new.inputs]
    same_inputs = before == after[:len(before)]
    added = sorted(set(new.attributes) - set(old.attributes))
    changed = [n for n, a in old.attributes.items()
               if n not in new.attributes or a.required != new.attributes[n].required or
               a.default_value != new.attributes[n].default_value]
    types = ((types_of(new.inputs) - types_of(old.inputs)) |
             (types_of(new.outputs) - types_of(old.outputs)))
    form = bool(changed or not same_inputs or any(new.attributes[a].required for a in added))
    if form or types or added or inputs != max_count(new.inputs):
        return form, types & set(TYPES), inputs, outputs, added, ""
    read = READ[new.name, new.since_version]
    return read and (False, read[0], inputs, outputs, read[1], read[2])


def main():
    history = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "" and not schema.deprecated:
            history.setdefault(schema.name, []).append(schema)
    print("// Written by scripts/make-opset-changes.py.\n"
          '#include "opset_changes.h"\n\nnamespace onnxrun {\n\n'
          "const std::vector<OpsetChange>& opset_changes() {\n"
          "static const std::vector<OpsetChange> changes = {")
    for name in sorted(history):
        versions = sorted(history[name], key=lambda s: s.since_version)
        for i, new in enumerate(versions):
            row = change(versions[i - 1] if i else None, new) if new.since_version > FIRST else None
            if row is None:
                continue
            form, types, inputs, outputs, uses, unless = row
            types = ", ".join(f"DType::{TYPES[t]}" for t in sorted(types, key=list(TYPES).index))
            uses = ", ".join(f'"{u}"' for u in uses)
            print(f'{{"{name}", {new.since_version}, {"true" if form else "false"}, '
                  f'{{{types}}}, {inputs}, {outputs}, {{{uses}}}, "{unless}"}},')
    print("};\nreturn changes;\n}\n\n}  // namespace onnxrun")


if __name__ == "__main__":
    main()
