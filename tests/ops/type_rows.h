// Nodes of every operator, which types_test.cpp runs with every element type, and
// hostile_rows_test.cpp with what no node should have.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/registry.h"
#include "support/op_tester.h"

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
// All of these.
std::vector<Row> all_rows();

// Of type variables.
using Types = std::map<std::string_view, DType>;

// The row's node on tensors of these types.
OpRun run_of(const Row& row, const OpSpec& spec, const Types& types);

// The first of double, int64, uint64, float, int32, uint8, bool and string that is allowed.
DType widest(DTypeSet types);

// Small numbers in any type; those that a type does not have become others, equal ones equal.
Tensor in_type(DType t, const Dims& dims, std::vector<double> values);

// What formal parameter i is; a variadic one, the last, goes on.
const Param& param(const std::vector<Param>& params, size_t i);

}  // namespace onnxrun::testing
