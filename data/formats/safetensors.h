// The safetensors format: a length, a JSON header, the elements of all tensors.
#pragma once

#include "base/atomic_file.h"
#include "tensor/byte_source.h"
#include "tensor/named_tensor.h"

namespace onnxrun {

// All tensors in the order of their data, or the one named `key`. As the format demands, the data
// must be covered without gaps or overlaps, and every size must agree with type and shape.
// Throws BadInput (for an unknown key with the names there are) or Limit.
NamedTensors read_safetensors(const DataFile& file, MemoryBudget& budget,
                              const std::string& key = "");

// Equal contents give equal bytes. 4- and 2-bit integers are written as 8-bit ones. Throws
// CannotWrite for strings, complex128, equal names and the name "__metadata__".
void write_safetensors(AtomicFile& file, const NamedTensors& arrays);

}  // namespace onnxrun
