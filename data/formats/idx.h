// The IDX format of the MNIST files: two zero bytes, type, rank, lengths, elements; big-endian.
#pragma once

#include <optional>

#include "formats/array_place.h"
#include "tensor/byte_source.h"

namespace onnxrun {

// uint8, int8, int16, int32, float or double. The stream must end with the array.
// Throws BadInput or Limit.
Tensor read_idx(ByteStream& stream, MemoryBudget& budget);

// What the header says, the stream being left at the first element. Throws BadInput.
std::optional<ArrayPlace> idx_place(ByteStream& stream);

}  // namespace onnxrun
