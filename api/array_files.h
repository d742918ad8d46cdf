// Arrays from data files of all formats, TensorProto included.
#pragma once

#include <string>
#include <utility>

#include "formats/source.h"

namespace onnxrun {

// How formats/source.h reads and writes .pb files.
ProtoFormat proto_format(int64_t max_memory = INT64_MAX);
ReadOptions read_options(int64_t max_memory, DType dtype = DType::Undefined);

// "NAME=FILE" cut in two; the whole is the file if it is one, or if the '=' belongs to an array
// written out.
std::pair<std::string, std::string> split_array_name(const std::string& text);

// Appends the arrays of "[NAME=]FILE[:key]" to `all`. Throws BadInput for a name that stands there
// already and for an array without one.
void read_named_arrays(const std::string& spec, int64_t max_memory, NamedTensors& all);

// The array of this name; null if there is none.
const NamedTensor* find_array(const NamedTensors& arrays, const std::string& name);

}  // namespace onnxrun
