// Reading inputs that are single numbers.
#pragma once

#include "base/error.h"
#include "tensor/tensor.h"

namespace onnxrun {

// The one number of a tensor (any numeric type with a C++ type). Throws BadInput if it has another
// size.
template <typename To>
To scalar_of(const Tensor& t, std::string_view name) {
  if (t.size() != 1) {
    fail(ErrorKind::BadInput, "'{}' is {}, expected one number", name, t.type_text());
  }
  To value{};
  dispatch<float, double, int64_t, int32_t, bool, float16, bfloat16, float8e4m3fn, float8e4m3fnuz,
           float8e5m2, float8e5m2fnuz, uint8_t, int8_t, uint16_t, int16_t, uint32_t, uint64_t>(
      t.dtype(), [&]<typename T>() { value = static_cast<To>(*t.data<T>()); });
  return value;
}

}  // namespace onnxrun
