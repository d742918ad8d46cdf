#include "base/dtype.h"

#include <array>

#include "base/error.h"

namespace onnxrun {

namespace {

struct DTypeFacts {
  std::string_view name;       // as the standard writes it
  std::string_view long_name;  // as numpy and users write it
  std::string_view short_name;
  int bits;
};

constexpr std::array<DTypeFacts, dtype_count> facts = {{
    {"undefined", "", "", 0},       {"float", "float32", "f32", 32},
    {"uint8", "", "u8", 8},         {"int8", "", "i8", 8},
    {"uint16", "", "u16", 16},      {"int16", "", "i16", 16},
    {"int32", "", "i32", 32},       {"int64", "", "i64", 64},
    {"string", "str", "", 0},       {"bool", "", "b", 8},
    {"float16", "half", "f16", 16}, {"double", "float64", "f64", 64},
    {"uint32", "", "u32", 32},      {"uint64", "", "u64", 64},
    {"complex64", "", "c64", 64},   {"complex128", "", "c128", 128},
    {"bfloat16", "", "bf16", 16},   {"float8e4m3fn", "", "", 8},
    {"float8e4m3fnuz", "", "", 8},  {"float8e5m2", "", "", 8},
    {"float8e5m2fnuz", "", "", 8},  {"uint4", "", "u4", 4},
    {"int4", "", "i4", 4},          {"float4e2m1", "", "", 4},
    {"float8e8m0", "", "", 8},      {"uint2", "", "u2", 2},
    {"int2", "", "i2", 2},          {"float6e2m3", "", "", 6},
    {"float6e3m2", "", "", 6},
}};

}  // namespace

std::string_view to_string(DType dtype) { return facts.at(static_cast<size_t>(dtype)).name; }

DType dtype_from_name(std::string_view name) {
  if (name.empty()) return DType::Undefined;
  for (size_t i = 1; i < facts.size(); ++i) {
    if (name == facts[i].name || name == facts[i].long_name || name == facts[i].short_name) {
      return static_cast<DType>(i);
    }
  }
  return DType::Undefined;
}

int bits_of(DType dtype) { return facts.at(static_cast<size_t>(dtype)).bits; }

bool is_packed(DType dtype) { return bits_of(dtype) > 0 && bits_of(dtype) < 8; }

std::optional<MxFloatFormat> mx_float_format(DType dtype) {
  switch (dtype) {
    case DType::Float4E2M1:
      return MxFloatFormat::E2M1;
    case DType::Float6E2M3:
      return MxFloatFormat::E2M3;
    case DType::Float6E3M2:
      return MxFloatFormat::E3M2;
    default:
      return std::nullopt;
  }
}

int64_t bytes_of(DType dtype, int64_t count) {
  int bits = bits_of(dtype);
  if (bits < 8) return count / 8 * bits + (count % 8 * bits + 7) / 8;
  int64_t bytes = 0;
  return __builtin_mul_overflow(count, bits / 8, &bytes) ? INT64_MAX : bytes;
}

bool is_float(DType t) {
  return mx_float_format(t) ||
         (dtypes::floats | dtypes::float8s | DTypeSet(DType::Float8E8M0)).contains(t);
}
bool is_differentiable(DType t) { return dtypes::floats.contains(t); }
bool is_signed_integer(DType t) {
  return (dtypes::signed_ints | DTypeSet{DType::Int4, DType::Int2}).contains(t);
}
bool is_unsigned_integer(DType t) {
  return (dtypes::unsigned_ints | DTypeSet{DType::UInt4, DType::UInt2}).contains(t);
}
bool is_complex(DType t) { return dtypes::complexes.contains(t); }

std::string to_string(DTypeSet set) {
  std::string text;
  for (int i = 1; i < dtype_count; ++i) {
    auto t = static_cast<DType>(i);
    if (set.contains(t)) text += (text.empty() ? "" : ", ") + std::string(to_string(t));
  }
  return text;
}

void fail_dispatch(DType dtype, DTypeSet allowed) {
  fail(ErrorKind::Internal, "no kernel for {}; there is one for {}", to_string(dtype),
       to_string(allowed));
}

}  // namespace onnxrun
