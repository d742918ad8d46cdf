// Broadcasting as the first opsets had it.
#pragma once

#include "graph/upgrade_context.h"

namespace onnxrun {

// Opsets 1 to 6 broadcast the second input only, and only if `broadcast` is 1: its axes are matched
// with those of the first from `axis` on (from the end if there is no `axis`).
void upgrade_binary_broadcast(UpgradeContext& u);

}  // namespace onnxrun
