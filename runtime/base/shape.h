// Symbolic dimensions and shapes.
//
// A dimension is a known length, an expression over named lengths ("batch", "2*seq + 1"), or
// unknown. Expressions are kept in a canonical form, so equal expressions compare equal. One that
// would grow past a bound on its terms and names is unknown.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "onnxrun/tensor.h"

namespace onnxrun {

class DimExpr;

class Dim {
 public:
  Dim() = default;                                     // unknown
  Dim(int64_t value) : known_(true), value_(value) {}  // NOLINT: lengths convert
  static Dim unknown() { return Dim(); }
  // A named length; names are global to a model (onnx.proto, Dimension.dim_param).
  static Dim symbol(const std::string& name);

  bool is_known() const { return known_; }
  bool is_unknown() const { return !known_ && !expr_; }
  bool is_symbolic() const { return expr_ != nullptr; }
  // Requires is_known().
  int64_t value() const { return value_; }

  // "3", "batch", "2*seq + 1", "?".
  std::string to_string() const;

  // Unknown is equal to nothing, itself included.
  friend bool operator==(const Dim& a, const Dim& b);
  // Unknown is identical to unknown.
  friend bool identical(const Dim& a, const Dim& b) {
    return (a.is_unknown() && b.is_unknown()) || a == b;
  }

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);

 private:
  friend Dim floor_div(const Dim& a, const Dim& b);
  friend Dim opaque(std::string_view function, const std::vector<Dim>& args);
  friend Dim make_dim(std::shared_ptr<const DimExpr> expr);

  bool known_ = false;
  int64_t value_ = 0;
  std::shared_ptr<const DimExpr> expr_;
};

// a / b rounded down, exact where the expressions divide; b must not be zero.
Dim floor_div(const Dim& a, const Dim& b);
Dim ceil_div(const Dim& a, const Dim& b);
// A length that `function` of `args` gives and nothing here can compute, e.g. max(a, b): equal to
// itself by text. Unknown if an argument is.
Dim opaque(std::string_view function, const std::vector<Dim>& args);
Dim max(const Dim& a, const Dim& b);
Dim min(const Dim& a, const Dim& b);

using Shape = std::vector<Dim>;

// "[batch,3,?]".
std::string to_string(const Shape& shape);
std::string to_string(std::span<const int64_t> dims);
inline std::string to_string(const Dims& dims) { return to_string(std::span(dims)); }

bool all_known(const Shape& shape);
// Requires all_known.
Dims to_dims(const Shape& shape);
Shape to_shape(std::span<const int64_t> dims);

// The number of elements; throws Limit if it does not fit int64, BadInput on a negative length.
int64_t element_count(std::span<const int64_t> dims);
// The product of all lengths (1 for a scalar).
Dim element_count(const Shape& shape);

// `axis` counted from the end if negative; throws BadInput unless -rank <= axis < rank.
int64_t normalize_axis(int64_t axis, int64_t rank);

// Numpy broadcasting (onnx docs/Broadcasting.md). Throws BadInput naming both shapes.
// An axis that is symbolic against a known length other than 1 takes the known length.
Shape broadcast(const Shape& a, const Shape& b);
Dims broadcast(std::span<const int64_t> a, std::span<const int64_t> b);

}  // namespace onnxrun
