// Whether values are near enough.
#pragma once

#include <cstdint>
#include <string>

#include "onnxrun/value.h"

namespace onnxrun::tool {

// Near means |a - b| <= atol + rtol * |b|, where b is the reference; NaN is near NaN, an infinity
// near itself. What is no number has to be equal.
struct Tolerance {
  double rtol = 1e-3, atol = 1e-7;
};

struct Comparison {
  bool near = true;
  int64_t compared = 0, off = 0;  // elements
  double max_abs = 0, max_rel = 0;
  std::string message;  // what is wrong, if something is

  // Takes another part of the same value in.
  void add(const Comparison& part, const std::string& place);
};

// With `same_type` element types have to be equal, else their values only.
Comparison compare_tensors(const Tensor& a, const Tensor& b, const Tolerance& tolerance,
                           bool same_type = false);
// Sequences, optionals and maps element by element.
Comparison compare_values(const RuntimeValue& a, const RuntimeValue& b, const Tolerance& tolerance,
                          bool same_type = false);

}  // namespace onnxrun::tool
