// What the standard says about models that a reader can do without, and what is likely a mistake.
#pragma once

#include <onnx/onnx_pb.h>

#include "findings.h"

namespace onnxrun {

// Looks at the message alone: names, what is never used, versions. Adds warnings and notes.
void lint_model(const onnx::ModelProto& model, Findings& findings);

}  // namespace onnxrun
