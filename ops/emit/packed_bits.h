// Numbers of 2, 4 or 8 bits that files keep in bytes.
#pragma once

#include "kernels/composed.h"

namespace onnxrun {

// Int32 numbers of `bits` out of bytes, low ones first: the last axis becomes 8 / bits times as
// long. The rank of `packed` must be known.
ValueId emit_unpacked_bits(const Emit& e, ValueId packed, int64_t bits);

}  // namespace onnxrun
