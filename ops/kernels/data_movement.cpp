#include "kernels/data_movement.h"

#include <cstring>

namespace onnxrun {

Tensor unpack_elements(const Tensor& packed) {
  Tensor bytes(DType::UInt8, packed.dims());
  int bits = bits_of(packed.dtype());
  uint8_t* out = bytes.data<uint8_t>();
  for (int64_t i = 0; i < packed.size(); ++i) out[i] = packed_bits(packed.raw(), i, bits);
  return bytes;
}

void pack_elements(const Tensor& bytes, Tensor& packed) {
  int bits = bits_of(packed.dtype());
  // Bits behind the last element are zero, so that equal tensors have equal bytes.
  if (packed.bytes() > 0) std::memset(packed.raw(), 0, static_cast<size_t>(packed.bytes()));
  const uint8_t* in = bytes.data<uint8_t>();
  for (int64_t i = 0; i < packed.size(); ++i) set_packed_bits(packed.raw(), i, bits, in[i]);
}

std::vector<int64_t> dense_strides(std::span<const int64_t> dims) {
  std::vector<int64_t> strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= dims[i];
  }
  return strides;
}

StridedCopy::StridedCopy(std::span<const int64_t> dims, std::span<const int64_t> in_strides,
                         std::span<const int64_t> out_strides) {
  std::vector<Axis> axes;  // innermost first, neighbours merged
  for (size_t i = dims.size(); i-- > 0;) {
    Axis axis{dims[i], in_strides[i], out_strides[i]};
    if (axis.length == 1) continue;
    if (!axes.empty() && axis.in == axes.back().in * axes.back().length &&
        axis.out == axes.back().out * axes.back().length) {
      axes.back().length *= axis.length;
    } else {
      axes.push_back(axis);
    }
  }
  if (axes.empty()) return;
  row_ = axes[0];
  axes.erase(axes.begin());
  for (const Axis& axis : axes) rows_ *= axis.length;
  if (axes.empty()) return;
  size_t middle = 0;
  if (row_.in > 1) {
    auto dense = std::find_if(axes.begin(), axes.end(), [](const Axis& a) { return a.in == 1; });
    transposes_ = dense != axes.end();
    if (transposes_) middle = static_cast<size_t>(dense - axes.begin());
  }
  middle_ = axes[middle];
  axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(middle));
  outer_ = std::move(axes);
}

}  // namespace onnxrun
