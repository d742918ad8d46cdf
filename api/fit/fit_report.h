// What a training says of itself before it begins.
#pragma once

#include "onnxrun/fit.h"

namespace onnxrun {

// Logs the losses, what was chosen and done unasked, what trains and what is left out, and
// warnings.
void report_fit(const Model& model, const Fit& fit);

}  // namespace onnxrun
