// The element types of ONNX (TensorProto.DataType) and the C++ types that hold one element.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/small_float.h"

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

// The format of a float4e2m1, float6e2m3 or float6e3m2; none for other types.
std::optional<MxFloatFormat> mx_float_format(DType dtype);

bool is_float(DType dtype);           // any floating-point type, 4 to 64 bits
bool is_differentiable(DType dtype);  // float64, float32, float16, bfloat16
bool is_signed_integer(DType dtype);
bool is_unsigned_integer(DType dtype);
bool is_complex(DType dtype);
inline bool is_integer(DType t) { return is_signed_integer(t) || is_unsigned_integer(t); }

// A set of element types, as type constraints of operators name them.
class DTypeSet {
 public:
  constexpr DTypeSet() = default;
  constexpr DTypeSet(DType t) : bits_(1u << static_cast<int>(t)) {}
  constexpr DTypeSet(std::initializer_list<DType> types) {
    for (DType t : types) bits_ |= 1u << static_cast<int>(t);
  }
  constexpr bool contains(DType t) const { return (bits_ >> static_cast<int>(t)) & 1u; }
  constexpr bool empty() const { return bits_ == 0; }
  friend constexpr DTypeSet operator|(DTypeSet a, DTypeSet b) {
    return DTypeSet(a.bits_ | b.bits_, 0);
  }
  friend constexpr DTypeSet operator-(DTypeSet a, DTypeSet b) {
    return DTypeSet(a.bits_ & ~b.bits_, 0);
  }
  friend constexpr bool operator==(DTypeSet, DTypeSet) = default;

 private:
  constexpr DTypeSet(uint32_t bits, int) : bits_(bits) {}
  uint32_t bits_ = 0;
};

// "float, double and int64".
std::string to_string(DTypeSet set);

namespace dtypes {
inline constexpr DTypeSet f32_f64 = {DType::Float32, DType::Float64};
inline constexpr DTypeSet floats = {DType::Float16, DType::Float32, DType::Float64,
                                    DType::BFloat16};
inline constexpr DTypeSet float8s = {DType::Float8E4M3FN, DType::Float8E4M3FNUZ, DType::Float8E5M2,
                                     DType::Float8E5M2FNUZ};
inline constexpr DTypeSet signed_ints = {DType::Int8, DType::Int16, DType::Int32, DType::Int64};
inline constexpr DTypeSet unsigned_ints = {DType::UInt8, DType::UInt16, DType::UInt32,
                                           DType::UInt64};
inline constexpr DTypeSet ints = signed_ints | unsigned_ints;
inline constexpr DTypeSet numeric = ints | floats;
inline constexpr DTypeSet complexes = {DType::Complex64, DType::Complex128};
inline constexpr DTypeSet ints4 = {DType::UInt4, DType::Int4};
inline constexpr DTypeSet ints2 = {DType::UInt2, DType::Int2};
inline constexpr DTypeSet index = {DType::Int32, DType::Int64};
inline constexpr DTypeSet boolean = DType::Bool;
// The types every data-moving operator took before opset 13.
inline constexpr DTypeSet basic = numeric | complexes | boolean | DTypeSet(DType::String);
// The types of IR version 14, which only casts, quantization and optionals take.
inline constexpr DTypeSet float6s = {DType::Float6E2M3, DType::Float6E3M2};
// Every element type of IR version 13.
inline constexpr DTypeSet all =
    basic | float8s | ints4 | ints2 | DTypeSet{DType::Float4E2M1, DType::Float8E8M0};
}  // namespace dtypes

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

[[noreturn]] void fail_dispatch(DType dtype, DTypeSet allowed);

// Calls f.operator()<T>() with the C++ type of `dtype`, which must be one of Ts:
//     dispatch<float, double>(x.dtype(), [&]<typename T>() { kernel(x.data<T>()); });
// Any other type is an internal error: type constraints have been checked before a kernel runs.
template <typename... Ts, typename F>
void dispatch(DType dtype, F&& f) {
  bool found = ((dtype == dtype_of<Ts> ? (f.template operator()<Ts>(), true) : false) || ...);
  if (!found) fail_dispatch(dtype, DTypeSet{dtype_of<Ts>...});
}

// float16, bfloat16, float, double.
template <typename F>
void dispatch_float(DType dtype, F&& f) {
  dispatch<float, double, float16, bfloat16>(dtype, f);
}

// All integers of 8 to 64 bits.
template <typename F>
void dispatch_int(DType dtype, F&& f) {
  dispatch<int32_t, int64_t, uint8_t, int8_t, uint16_t, int16_t, uint32_t, uint64_t>(dtype, f);
}

// Floats and integers.
template <typename F>
void dispatch_numeric(DType dtype, F&& f) {
  dispatch<float, double, int64_t, int32_t, float16, bfloat16, uint8_t, int8_t, uint16_t, int16_t,
           uint32_t, uint64_t>(dtype, f);
}

// The type arithmetic on T runs in: float for the 16-bit floats, T for all others.
template <typename T>
using ComputeType =
    std::conditional_t<std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>, float, T>;

}  // namespace onnxrun
