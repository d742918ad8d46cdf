// NumPy's .npz files: zip archives of .npy arrays.
#pragma once

#include <string>

#include "base/atomic_file.h"
#include "tensor/byte_source.h"
#include "tensor/named_tensor.h"

namespace onnxrun {

// The arrays in the order of the archive, each under the name of its entry without ".npy"; any
// characters may stand in a name. Entries that are no .npy are passed over. With `key`, that array
// alone. Every array's header must agree with the size of its entry before memory is taken.
// Throws BadInput (naming the array, and for an unknown key the ones there are) or Limit.
NamedTensors read_npz(const DataFile& file, MemoryBudget& budget, const std::string& key = "");

// Throws CannotWrite if two names are equal.
void write_npz(AtomicFile& file, const NamedTensors& arrays);

}  // namespace onnxrun
