// Nodes that types_test.cpp runs with every element type.
#pragma once

#include <string>
#include <vector>

#include "graph/attributes.h"

namespace onnxrun::testing {

// An input of a row. Its element type is that of the type variable in the operator's spec; the
// values repeat, and go from 1 to 4 if none are given.
struct In {
  In() : omitted(true) {}
  In(Dims d, std::vector<double> v = {}) : dims(std::move(d)), values(std::move(v)) {}  // NOLINT
  Dims dims;
  std::vector<double> values;
  bool omitted = false;
};

struct Row {
  std::string op;
  std::vector<In> inputs;
  Attributes attributes = {};
  size_t outputs = 1;
  bool compared = true;  // false where the type decides what the result is
};

// Those of the standard, of early_operators.cpp, of domains com.microsoft and ai.onnx.ml.
std::vector<Row> standard_rows();
std::vector<Row> early_rows();
std::vector<Row> microsoft_rows();
std::vector<Row> microsoft_form_rows();
std::vector<Row> ml_rows();

}  // namespace onnxrun::testing
