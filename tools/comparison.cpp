#include "comparison.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tensor/tensor.h"

namespace onnxrun::tool {

namespace {

Comparison failed(std::string message) {
  Comparison c;
  c.near = false;
  c.message = std::move(message);
  return c;
}

// The index of element `i` in a tensor of `dims`, as "[1,0,2]".
std::string index_text(const Dims& dims, int64_t i) {
  Dims index(dims.size());
  for (size_t k = dims.size(); k-- > 0;) {
    index[k] = i % dims[k];
    i /= dims[k];
  }
  return to_string(index);
}

void compare_elements(const double* a, const double* b, int64_t count, const Dims& dims,
                      int64_t parts, const Tolerance& tolerance, Comparison& c) {
  for (int64_t i = 0; i < count; ++i) {
    bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    if (same) continue;
    double distance = std::abs(a[i] - b[i]);
    if (std::isnan(distance)) distance = INFINITY;
    c.max_abs = std::max(c.max_abs, distance);
    c.max_rel = std::max(c.max_rel, distance / std::abs(b[i]));
    if (std::isfinite(b[i]) && distance <= tolerance.atol + tolerance.rtol * std::abs(b[i]))
      continue;
    if (c.off++ == 0) {
      c.near = false;
      c.message = fmt::format("at {} found {:.9g}, expected {:.9g}", index_text(dims, i / parts),
                              a[i], b[i]);
    }
  }
}

Comparison compare_strings(const Tensor& a, const Tensor& b) {
  Comparison c;
  c.compared = a.size();
  for (int64_t i = 0; i < a.size(); ++i) {
    const std::string &x = a.data<std::string>()[i], &y = b.data<std::string>()[i];
    if (x == y) continue;
    if (c.off++ == 0) {
      c.near = false;
      c.message = fmt::format("at {} found '{}', expected '{}'", index_text(a.dims(), i), x, y);
    }
  }
  return c;
}

// Complex numbers as pairs.
std::vector<double> numbers(const Tensor& t) {
  if (!is_complex(t.dtype())) return to_doubles(t);
  std::vector<double> values;
  auto append = [&](auto span) {
    for (const auto& z : span) {
      values.push_back(z.real());
      values.push_back(z.imag());
    }
  };
  if (t.dtype() == DType::Complex64) {
    append(t.span<std::complex<float>>());
  } else {
    append(t.span<std::complex<double>>());
  }
  return values;
}

std::string_view kind_name(RuntimeValue::Kind kind) {
  switch (kind) {
    case RuntimeValue::Kind::None:
      return "nothing";
    case RuntimeValue::Kind::Tensor:
      return "a tensor";
    case RuntimeValue::Kind::Sequence:
      return "a sequence";
    case RuntimeValue::Kind::Optional:
      return "an optional";
    case RuntimeValue::Kind::Map:
      return "a map";
  }
  return "";
}

}  // namespace

void Comparison::add(const Comparison& part, const std::string& place) {
  if (near && !part.near) message = place + ": " + part.message;
  near = near && part.near;
  compared += part.compared;
  off += part.off;
  max_abs = std::max(max_abs, part.max_abs);
  max_rel = std::max(max_rel, part.max_rel);
}

Comparison compare_tensors(const Tensor& a, const Tensor& b, const Tolerance& tolerance,
                           bool same_type) {
  bool texts = a.dtype() == DType::String, expected_texts = b.dtype() == DType::String;
  if (a.dims() != b.dims() || (same_type && a.dtype() != b.dtype()) || texts != expected_texts ||
      is_complex(a.dtype()) != is_complex(b.dtype())) {
    return failed(fmt::format("found {}, expected {}", a.type_text(), b.type_text()));
  }
  if (texts) return compare_strings(a, b);
  Comparison c;
  c.compared = a.size();
  std::vector<double> x = numbers(a), y = numbers(b);
  int64_t parts = is_complex(a.dtype()) ? 2 : 1;
  compare_elements(x.data(), y.data(), static_cast<int64_t>(x.size()), a.dims(), parts, tolerance,
                   c);
  // 64-bit integers beyond 2^53 have no exact double.
  bool exact =
      is_integer(a.dtype()) && a.dtype() == b.dtype() && tolerance.rtol == 0 && tolerance.atol == 0;
  if (exact && c.near && !identical(a, b)) return failed("integers differ beyond 2^53");
  return c;
}

Comparison compare_values(const RuntimeValue& a, const RuntimeValue& b, const Tolerance& tolerance,
                          bool same_type) {
  if (a.kind != b.kind) {
    return failed(fmt::format("found {}, expected {}", kind_name(a.kind), kind_name(b.kind)));
  }
  if (a.is_tensor()) return compare_tensors(a.tensor, b.tensor, tolerance, same_type);
  Comparison c;
  if (a.kind == RuntimeValue::Kind::Map) {
    c.add(compare_tensors(a.tensor, b.tensor, {0, 0}, same_type), "keys");
  }
  size_t n = a.items ? a.items->size() : 0, expected = b.items ? b.items->size() : 0;
  if (n != expected) return failed(fmt::format("found {} elements, expected {}", n, expected));
  for (size_t k = 0; k < n; ++k) {
    c.add(compare_values((*a.items)[k], (*b.items)[k], tolerance, same_type),
          fmt::format("element {}", k));
  }
  return c;
}

}  // namespace onnxrun::tool
