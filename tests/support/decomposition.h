// Holds an operator's kernel to its decomposition.
#pragma once

#include "support/op_tester.h"

namespace onnxrun::testing {

// Runs the node as it is and decomposed (private operators again and again), with static shapes and
// with shapes known at run time only; fails the current test if outputs differ by more than the
// tolerance. With `dynamic` false only the static way.
void expect_decomposes(const OpRun& run, double tolerance = 1e-12, bool dynamic = true);

}  // namespace onnxrun::testing
