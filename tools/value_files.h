// Values in files of all formats, TensorProto included.
#pragma once

#include <string>
#include <vector>

#include "array_files.h"
#include "graph/type.h"
#include "onnxrun/session.h"

namespace onnxrun::tool {

// PREFIX_0.pb, PREFIX_1.pb, ... of a test-data directory as values of the given types; stops at the
// first that is not there. Throws BadInput if there are more files than types.
std::vector<RuntimeValue> read_value_directory(const std::string& directory,
                                               const std::string& prefix,
                                               const std::vector<Type>& types, int64_t max_memory);

// Writes values by the extension of `path`; a directory gets output_K.pb. Sequences are arrays
// NAME/0, NAME/1, ... in formats that hold arrays only. Throws CannotWrite, Usage.
void write_values(const std::string& path, const NamedValues& values);

// The value of that name, null if there is none.
const RuntimeValue* find_value(const NamedValues& values, const std::string& name);

// The values' tensors, sequences and optionals taken apart.
NamedTensors flattened(const NamedValues& values);

// {"name": {"dtype": ..., "shape": ..., "data": ...}, ...}; sequences are lists of such objects.
std::string values_to_json(const NamedValues& values);

// For people: name, type, elements.
std::string values_to_text(const NamedValues& values);

}  // namespace onnxrun::tool
