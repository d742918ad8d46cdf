// Files of bare elements, whose type and shape the user gives.
#pragma once

#include <string_view>

#include "tensor/byte_source.h"

namespace onnxrun {

// The elements of `stream`, little-endian, as "f32:1x3x224x224" describes them (a type's name, then
// the lengths; "f32:" is a scalar). The sizes must agree. Throws BadInput.
Tensor read_raw(ByteStream& stream, std::string_view description, MemoryBudget& budget);

}  // namespace onnxrun
