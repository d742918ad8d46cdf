// Recurrent layers as standard operators: a Scan for each direction.
#pragma once

#include "graph/gradient_context.h"
#include "recurrent_family.h"

namespace onnxrun {

void decompose_recurrent_forward(DecomposeContext& d, const RecurrentAttributes& a);
void decompose_recurrent_backward(DecomposeContext& d, const RecurrentAttributes& a);

}  // namespace onnxrun
