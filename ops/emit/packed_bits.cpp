#include "emit/packed_bits.h"

namespace onnxrun {

ValueId emit_unpacked_bits(const Emit& e, ValueId packed, int64_t bits) {
  ValueId rest = e.b.cast(packed, DType::Int32);
  if (bits == 8) return rest;
  const int64_t rank = e.b.rank(packed);
  ValueId base = e.b.scalar(static_cast<double>(int64_t{1} << bits), DType::Int32);
  std::vector<ValueId> parts;
  for (int64_t at = 0; at < 8; at += bits) {
    parts.push_back(e.b.unsqueeze(e("Mod", {rest, base}), {rank}));
    if (at + bits < 8) rest = e.div(rest, base);
  }
  ValueId length = e.mul(e.dim(packed, -1), e.b.ints({8 / bits}));
  return e.b.reshape(e.concat(parts, rank), e.concat({e.dims(packed, 0, rank - 1), length}));
}

}  // namespace onnxrun
