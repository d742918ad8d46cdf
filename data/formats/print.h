// Tensors as text for people and programs.
#pragma once

#include <string>

#include "formats/json.h"
#include "tensor/named_tensor.h"

namespace onnxrun {

// The elements as nested JSON lists (a scalar bare). Floats have the fewest digits that read back
// the same; "NaN", "Infinity" and "-Infinity" are strings (JSON has no such numbers), complex
// numbers pairs.
std::string json_values(const Tensor& t);

// {"name": {"dtype": "float", "shape": [2], "data": [1, 2]}, ...}, one array a line.
std::string to_json(const NamedTensors& arrays);

// A double as JSON, with the strings named above.
std::string json_number(double value);

struct PrintOptions {
  int64_t threshold = 1000;  // larger tensors are summarized
  int64_t edge = 3;          // elements kept at either end of an axis then
};

// As numpy prints arrays: nested brackets, one line a row, columns aligned, "..." for what a
// summary leaves out.
std::string to_text(const Tensor& t, const PrintOptions& options = {});

}  // namespace onnxrun
