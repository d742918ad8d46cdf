// Runs one operator every way the library can, and checks its gradient.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "graph/builder.h"
#include "onnxrun/value.h"

namespace onnxrun::testing {

// A node to test. Undefined tensors among the inputs are omitted optional inputs.
struct OpRun {
  std::string op;  // qualified name
  std::vector<Tensor> inputs;
  Attributes attributes = {};
  size_t outputs = 1;
  // When positive, the node is upgraded from this opset of its domain.
  int opset = 0;
};

// Runs it with static shapes, with shapes known at run time only, optimised and not, and as a
// constant to fold; fails the current test if any two results differ in a bit, and returns the
// results.
std::vector<Tensor> run_op(const OpRun& run);

// Runs it once, with static shapes: for operators whose results differ from run to run.
std::vector<Tensor> run_once(const OpRun& run);

// |a - e| <= atol + rtol * |e| elementwise, NaN equal to NaN, infinities in place; strings, ints
// and bools exactly. A failure names the case, the index and both values.
void expect_close(const Tensor& actual, const Tensor& expected, double rtol = 1e-6,
                  double atol = 1e-7, const std::string& label = {});

struct GradientOptions {
  // Inputs to check; all floating-point ones if empty.
  std::vector<size_t> wrt = {};
  double step = 1e-6;
  double tolerance = 1e-7;  // relative to the largest element of the gradient, at least 1
  bool second_order = false;
  uint32_t seed = 1;
};

// Compares the gradient of sum(random cotangent * outputs) with central differences, in double: all
// floating-point inputs must be double. With second_order the gradient's own gradient too.
void check_gradient(const OpRun& run, const GradientOptions& options = {});

// The gradients of the sum of all outputs with respect to the floating-point inputs, which are
// double.
std::vector<Tensor> gradients_of(const OpRun& run);

// Doubles in [low, high), from a fixed generator.
Tensor random_tensor(Dims dims, uint32_t seed, double low = -1, double high = 1);

// All elements as doubles, for short expectations.
std::vector<double> values_of(const Tensor& t);

// Expects an Error whose text contains `text` when the node is built or run.
void expect_error(const OpRun& run, const std::string& text);

}  // namespace onnxrun::testing
