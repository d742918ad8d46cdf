// Holds an operator's kernel to its decomposition.
#pragma once

#include <optional>
#include <vector>

#include "support/op_tester.h"

namespace onnxrun::testing {

// Runs the node as it is and decomposed (private operators again and again), with static shapes and
// with lengths known at run time only (all but the second of floating-point inputs, or of those
// listed); fails the current test if outputs differ by more than the tolerance. With an empty list
// only the static way.
void expect_decomposes(const OpRun& run, double tolerance = 1e-12,
                       const std::optional<std::vector<size_t>>& symbolic = std::nullopt);

}  // namespace onnxrun::testing
