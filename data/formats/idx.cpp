#include "formats/idx.h"

#include "base/error.h"

namespace onnxrun {

static DType idx_type(uint8_t code) {
  switch (code) {
    case 0x08:
      return DType::UInt8;
    case 0x09:
      return DType::Int8;
    case 0x0b:
      return DType::Int16;
    case 0x0c:
      return DType::Int32;
    case 0x0d:
      return DType::Float32;
    case 0x0e:
      return DType::Float64;
    default:
      fail(ErrorKind::BadInput, "idx element type {:#04x} is not known", code);
  }
}

std::optional<ArrayPlace> idx_place(ByteStream& stream) {
  std::string magic = stream.read_text(4);
  if (magic[0] != 0 || magic[1] != 0) {
    fail(ErrorKind::BadInput, "this is no idx file: it does not begin with two zero bytes");
  }
  DType dtype = idx_type(static_cast<uint8_t>(magic[2]));
  Dims dims;
  for (int axis = static_cast<uint8_t>(magic[3]); axis > 0; --axis) {
    dims.push_back(load_integer<uint32_t>(stream.read_text(4).data(), std::endian::big));
  }
  return ArrayPlace{dtype, dims, 0, std::endian::big};
}

Tensor read_idx(ByteStream& stream, MemoryBudget& budget) {
  ArrayPlace place = *idx_place(stream);
  Tensor t = read_elements(stream, place.dtype, place.dims, place.order, budget);
  stream.expect_end();
  return t;
}

}  // namespace onnxrun
