// BatchNormalization in its modes.
#pragma once

#include "graph/mode_context.h"

namespace onnxrun {

// For Op::set_mode: in training the node normalises by the batch's own statistics and gives what
// the running ones become, with `momentum` the share of the old ones.
void set_batch_mode(ModeContext& c, float momentum);

}  // namespace onnxrun
