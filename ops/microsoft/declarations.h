#pragma once

#include "graph/op.h"

namespace onnxrun {

// What declarations of inputs and outputs say often.
inline constexpr auto optional = Param::Kind::Optional;

}  // namespace onnxrun
