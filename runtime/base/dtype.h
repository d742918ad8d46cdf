// Sets of element types, and kernels by type.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <type_traits>

#include "onnxrun/dtype.h"

namespace onnxrun {

// The format of a float4e2m1, float6e2m3 or float6e3m2; none for other types.
std::optional<MxFloatFormat> mx_float_format(DType dtype);

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
