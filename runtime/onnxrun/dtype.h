// The element types of ONNX (TensorProto.DataType) and the C++ types that hold one element.
#pragma once

#include <complex>
#include <cstdint>
#include <string>
#include <string_view>

#include "onnxrun/small_float.h"

namespace onnxrun {

// Values are those of TensorProto.DataType, so that a cast converts.
enum class DType : uint8_t {
  Undefined = 0,
  Float32 = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Float64 = 11,
  UInt32 = 12,
  UInt64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  BFloat16 = 16,
  Float8E4M3FN = 17,
  Float8E4M3FNUZ = 18,
  Float8E5M2 = 19,
  Float8E5M2FNUZ = 20,
  UInt4 = 21,
  Int4 = 22,
  Float4E2M1 = 23,
  Float8E8M0 = 24,
  UInt2 = 25,
  Int2 = 26,
  Float6E2M3 = 27,
  Float6E3M2 = 28,
};
inline constexpr int dtype_count = 29;

// "float", "double", "int64", ... as the standard writes them: tensor(float).
std::string_view to_string(DType dtype);

// The type with this name ("float", "float32", "f32", "double", "float64", "f64", "int64", ...), or
// Undefined.
DType dtype_from_name(std::string_view name);

// Bits of one element as tensors store it: 6-, 4- and 2-bit types are packed, low bits first.
// String: 0.
int bits_of(DType dtype);

// Whether elements are narrower than a byte.
bool is_packed(DType dtype);

// Bytes that `count` elements take. String: 0 (strings live outside the byte buffer).
// `count` must not be negative. Saturates at INT64_MAX instead of overflowing.
int64_t bytes_of(DType dtype, int64_t count);

bool is_float(DType dtype);           // any floating-point type, 4 to 64 bits
bool is_differentiable(DType dtype);  // float64, float32, float16, bfloat16
bool is_signed_integer(DType dtype);
bool is_unsigned_integer(DType dtype);
bool is_complex(DType dtype);
inline bool is_integer(DType t) { return is_signed_integer(t) || is_unsigned_integer(t); }

// The C++ type of one element and back. Packed types have none: unpack them first.
template <typename T>
struct DTypeOf;
#define ONNXRUN_DTYPE_OF(CXX, NAME)             \
  template <>                                   \
  struct DTypeOf<CXX> {                         \
    static constexpr DType value = DType::NAME; \
  };
ONNXRUN_DTYPE_OF(float, Float32)
ONNXRUN_DTYPE_OF(double, Float64)
ONNXRUN_DTYPE_OF(float16, Float16)
ONNXRUN_DTYPE_OF(bfloat16, BFloat16)
ONNXRUN_DTYPE_OF(float8e4m3fn, Float8E4M3FN)
ONNXRUN_DTYPE_OF(float8e4m3fnuz, Float8E4M3FNUZ)
ONNXRUN_DTYPE_OF(float8e5m2, Float8E5M2)
ONNXRUN_DTYPE_OF(float8e5m2fnuz, Float8E5M2FNUZ)
ONNXRUN_DTYPE_OF(float8e8m0, Float8E8M0)
ONNXRUN_DTYPE_OF(int8_t, Int8)
ONNXRUN_DTYPE_OF(int16_t, Int16)
ONNXRUN_DTYPE_OF(int32_t, Int32)
ONNXRUN_DTYPE_OF(int64_t, Int64)
ONNXRUN_DTYPE_OF(uint8_t, UInt8)
ONNXRUN_DTYPE_OF(uint16_t, UInt16)
ONNXRUN_DTYPE_OF(uint32_t, UInt32)
ONNXRUN_DTYPE_OF(uint64_t, UInt64)
ONNXRUN_DTYPE_OF(bool, Bool)
ONNXRUN_DTYPE_OF(std::string, String)
ONNXRUN_DTYPE_OF(std::complex<float>, Complex64)
ONNXRUN_DTYPE_OF(std::complex<double>, Complex128)
#undef ONNXRUN_DTYPE_OF

template <typename T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace onnxrun
