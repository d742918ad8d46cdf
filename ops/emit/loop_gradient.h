// The gradient of Loop.
#pragma once

#include "graph/gradient_context.h"

namespace onnxrun {

// The forward Loop also keeps the state each iteration began with, as far as the body's
// gradient reads it: stacked where its shape is the same in every iteration, else in a sequence. A
// second Loop walks the iterations in reverse: it computes one again, carries the cotangents of the
// carried values, and adds up those of captured values. The number of iterations may be known at
// run time only.
void loop_gradient(GradientContext& g);

}  // namespace onnxrun
