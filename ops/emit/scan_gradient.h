// The gradient of Scan.
#pragma once

#include "graph/gradient_context.h"

namespace onnxrun {

// As loop_gradient(), with a reversed Scan, whose scan inputs are the kept states and the forward's
// own scan inputs, and whose scan outputs are the cotangents of those.
void scan_gradient(GradientContext& g);

}  // namespace onnxrun
