// Every pair of types goes by way of a block of one of three wide types, so there is one loop a
// type and not one a pair.
#include <algorithm>
#include <array>
#include <complex>
#include <cstring>

#include "base/error.h"
#include "tensor/tensor.h"

namespace onnxrun {

namespace {

// A multiple of 4, so that blocks of packed elements begin at a byte.
constexpr int64_t block = 512;

// Both alternatives are computed, so that compilers need no branch.
template <typename T>
int64_t truncate_to_int64(T value) {
  const bool fits = value >= T(-0x1p63) && value < T(0x1p63);
  const auto truncated = static_cast<int64_t>(fits ? value : T{0});
  return fits ? truncated : INT64_MIN;
}

template <typename T>
int32_t truncate_to_int32(T value) {
  const bool fits = value > T(-0x1p31) - T{1} && value < T(0x1p31);  // float has no -2^31 - 1
  const auto truncated = static_cast<int32_t>(fits ? value : T{0});
  return fits ? truncated : INT32_MIN;
}

uint64_t truncate_to_uint64(double value) {
  if (!(value >= 0x1p63)) return static_cast<uint64_t>(truncate_to_int64(value));
  return value < 0x1p64 ? static_cast<uint64_t>(value) : 0;
}

template <typename To, typename Wide>
To to_integer(Wide value) {
  if constexpr (std::is_integral_v<Wide>) {
    return static_cast<To>(value);
  } else if constexpr (std::is_same_v<To, uint64_t>) {
    return truncate_to_uint64(value);
  } else if constexpr (std::is_same_v<To, int64_t> || std::is_same_v<To, uint32_t>) {
    return static_cast<To>(truncate_to_int64(value));
  } else {
    return static_cast<To>(truncate_to_int32(value));
  }
}

template <typename T>
struct IsFloat8 : std::false_type {};
template <Float8Format format>
struct IsFloat8<float8<format>> : std::true_type {
  static constexpr Float8Format value_format = format;
};

template <typename To, typename Wide>
To to_element(Wide value, const ConvertOptions& options) {
  To out;
  if constexpr (std::is_same_v<To, bool>) {
    out = value != 0;
  } else if constexpr (std::is_integral_v<To>) {
    out = to_integer<To>(value);
  } else if constexpr (std::is_same_v<To, float16>) {
    out.bits = double_to_half_bits(static_cast<double>(value));
  } else if constexpr (std::is_same_v<To, bfloat16>) {
    out.bits = double_to_bfloat16_bits(static_cast<double>(value));
  } else if constexpr (std::is_same_v<To, float8e8m0>) {
    out.bits =
        float_to_float8e8m0_bits(static_cast<double>(value), options.saturate, options.rounding);
  } else if constexpr (IsFloat8<To>::value) {
    out.bits = float_to_float8_bits(static_cast<double>(value), IsFloat8<To>::value_format,
                                    options.saturate);
  } else {
    out = static_cast<To>(value);
  }
  return out;
}

template <typename F>
void dispatch_element(DType dtype, F&& f) {
  dispatch<float, double, float16, bfloat16, float8e4m3fn, float8e4m3fnuz, float8e5m2,
           float8e5m2fnuz, float8e8m0, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
           uint32_t, uint64_t, bool>(dtype, f);
}

template <typename Wide>
Wide unpack(DType dtype, uint8_t bits) {
  if (auto format = mx_float_format(dtype)) {
    return static_cast<Wide>(mx_float_bits_to_float(bits, *format));
  }
  switch (dtype) {
    case DType::Int4:
      return static_cast<Wide>(bits & 8 ? bits - 16 : bits);
    case DType::Int2:
      return static_cast<Wide>(bits & 2 ? bits - 4 : bits);
    default:
      return static_cast<Wide>(bits);
  }
}

// Elements [begin, begin + n) of `from`; begin is a multiple of `block`.
template <typename Wide>
void load(const Tensor& from, int64_t begin, int64_t n, Wide* out) {
  if (is_packed(from.dtype())) {
    int bits = bits_of(from.dtype());
    for (int64_t i = 0; i < n; ++i) {
      out[i] = unpack<Wide>(from.dtype(), packed_bits(from.raw(), begin + i, bits));
    }
    return;
  }
  dispatch_element(from.dtype(), [&]<typename From>() {
    if constexpr (std::is_same_v<From, bool>) {
      const uint8_t* in = from.data<uint8_t>() + begin;
      for (int64_t i = 0; i < n; ++i) out[i] = in[i] != 0;
    } else if constexpr (std::is_integral_v<From> || !std::is_integral_v<Wide>) {
      const From* in = from.data<From>() + begin;
      for (int64_t i = 0; i < n; ++i) out[i] = static_cast<Wide>(in[i]);
    }
  });
}

template <typename Wide>
void store(const Wide* in, Tensor& to, int64_t begin, int64_t n, const ConvertOptions& options) {
  if (is_packed(to.dtype())) {
    int bits = bits_of(to.dtype());
    std::memset(to.raw() + begin * bits / 8, 0, static_cast<size_t>((n * bits + 7) / 8));
    std::optional<MxFloatFormat> format = mx_float_format(to.dtype());
    for (int64_t i = 0; i < n; ++i) {
      uint8_t value = format ? float_to_mx_float_bits(static_cast<double>(in[i]), *format)
                             : to_integer<uint8_t>(in[i]);
      set_packed_bits(to.raw(), begin + i, bits, value);
    }
    return;
  }
  dispatch_element(to.dtype(), [&]<typename To>() {
    To* out = to.data<To>() + begin;
    for (int64_t i = 0; i < n; ++i) out[i] = to_element<To>(in[i], options);
  });
}

template <typename Wide>
void convert_through(const Tensor& from, Tensor& to, const ConvertOptions& options) {
  std::array<Wide, block> wide;
  for (int64_t begin = 0; begin < from.size(); begin += block) {
    int64_t n = std::min(block, from.size() - begin);
    load(from, begin, n, wide.data());
    store(wide.data(), to, begin, n, options);
  }
}

void convert_complex(const Tensor& from, Tensor& to) {
  dispatch<std::complex<float>, std::complex<double>>(from.dtype(), [&]<typename From>() {
    dispatch<std::complex<float>, std::complex<double>>(to.dtype(), [&]<typename To>() {
      const From* in = from.data<From>();
      To* out = to.data<To>();
      for (int64_t i = 0; i < from.size(); ++i) out[i] = static_cast<To>(in[i]);
    });
  });
}

bool fits_int32(DType t) {
  return t == DType::Int8 || t == DType::UInt8 || t == DType::Int16 || t == DType::UInt16 ||
         t == DType::Int32;
}

bool is_convertible(DType from, DType to) {
  auto is_plain = [](DType t) { return is_float(t) || is_integer(t) || t == DType::Bool; };
  return (is_plain(from) && is_plain(to)) || (is_complex(from) && is_complex(to));
}

}  // namespace

void convert_into(const Tensor& from, Tensor& to, const ConvertOptions& options) {
  assert(from.size() == to.size());
  if (from.dtype() == to.dtype()) return copy_elements(from, to);
  if (!is_convertible(from.dtype(), to.dtype())) {
    fail(ErrorKind::Unsupported, "cannot convert elements from {} to {}", to_string(from.dtype()),
         to_string(to.dtype()));
  }
  if (is_complex(from.dtype())) {
    convert_complex(from, to);
  } else if (from.dtype() == DType::Float32 && fits_int32(to.dtype())) {
    convert_through<float>(from, to, options);
  } else if (is_float(from.dtype())) {
    convert_through<double>(from, to, options);
  } else if (from.dtype() == DType::UInt64) {
    convert_through<uint64_t>(from, to, options);
  } else {
    convert_through<int64_t>(from, to, options);
  }
}

Tensor convert(const Tensor& from, DType to, const ConvertOptions& options) {
  if (from.dtype() == to) return from.clone();
  Tensor out(to, from.dims());
  convert_into(from, out, options);
  return out;
}

std::vector<int64_t> to_int64s(const Tensor& t) {
  if (!is_integer(t.dtype())) {
    fail(ErrorKind::BadInput, "expected a tensor of integers, found {}", t.type_text());
  }
  Tensor wide = t.dtype() == DType::Int64 ? t : convert(t, DType::Int64);
  return {wide.data<int64_t>(), wide.data<int64_t>() + wide.size()};
}

std::vector<double> to_doubles(const Tensor& t) {
  if (!is_convertible(t.dtype(), DType::Float64)) {
    fail(ErrorKind::BadInput, "expected a tensor of numbers, found {}", t.type_text());
  }
  std::vector<double> values(static_cast<size_t>(t.size()));
  load(t, 0, t.size(), values.data());
  return values;
}

}  // namespace onnxrun
