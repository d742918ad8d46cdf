#include "formats/array_place.h"

#include <algorithm>
#include <complex>

namespace onnxrun {

void as_native(Tensor& t, std::endian order) {
  int64_t width = bits_of(t.dtype()) / 8;
  bool complex = is_complex(t.dtype());
  if (complex) width /= 2;
  if (order != std::endian::native && width > 1) {
    for (std::byte* at = t.raw(); at < t.raw() + t.bytes(); at += width) {
      std::reverse(at, at + width);
    }
  }
  if (t.dtype() != DType::Bool) return;
  // Any other byte than 0 and 1 in a bool is undefined behaviour.
  for (uint8_t& b : t.span<uint8_t>()) b = b != 0;
}

}  // namespace onnxrun
