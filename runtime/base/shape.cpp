#include "base/shape.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/limits.h"

namespace onnxrun {

// A polynomial with integer coefficients: monomial (sorted atom names) -> coefficient. Atoms are
// symbols or the text of an opaque function.
class DimExpr {
 public:
  using Monomial = std::vector<std::string>;
  std::map<Monomial, int64_t> terms;

  bool operator==(const DimExpr& other) const { return terms == other.terms; }
};

namespace {

DimExpr constant_expr(int64_t value) {
  DimExpr e;
  if (value != 0) e.terms[{}] = value;
  return e;
}

uint64_t magnitude(int64_t c) {
  return c < 0 ? 0 - static_cast<uint64_t>(c) : static_cast<uint64_t>(c);
}

std::string monomial_text(const DimExpr::Monomial& atoms, uint64_t coefficient) {
  std::string text;
  if (coefficient != 1 || atoms.empty()) text = std::to_string(coefficient);
  for (const std::string& atom : atoms) text += (text.empty() ? "" : "*") + atom;
  return text;
}

std::string text_of(const DimExpr& e) {
  std::string text;
  // The constant term sorts first in the map and reads best last.
  for (const auto& [atoms, c] : e.terms) {
    if (atoms.empty()) continue;
    if (text.empty()) {
      text = c == -1 ? "-" : c < 0 ? std::to_string(c) + "*" : "";
      text += monomial_text(atoms, c < 0 ? 1 : magnitude(c));
    } else {
      text += (c < 0 ? " - " : " + ") + monomial_text(atoms, magnitude(c));
    }
  }
  if (auto it = e.terms.find({}); it != e.terms.end()) {
    int64_t c = it->second;
    text += (c < 0 ? " - " : " + ") + std::to_string(magnitude(c));
  }
  return text;
}

bool is_atom(const DimExpr& e) {
  return e.terms.size() == 1 && e.terms.begin()->second == 1 && e.terms.begin()->first.size() == 1;
}

// a / (c * atoms) if every term divides.
std::optional<DimExpr> divide_exactly(const DimExpr& a, const DimExpr& b) {
  if (b.terms.size() != 1) {
    if (a == b) return constant_expr(1);
    return std::nullopt;
  }
  const auto& [atoms, c] = *b.terms.begin();
  DimExpr quotient;
  for (const auto& [term, coefficient] : a.terms) {
    // The lowest number has no negative.
    if (c == -1 && coefficient == INT64_MIN) return std::nullopt;
    if (coefficient % c != 0) return std::nullopt;
    if (!std::includes(term.begin(), term.end(), atoms.begin(), atoms.end())) return std::nullopt;
    DimExpr::Monomial rest;
    std::set_difference(term.begin(), term.end(), atoms.begin(), atoms.end(),
                        std::back_inserter(rest));
    quotient.terms[rest] = coefficient / c;
  }
  return quotient;
}

}  // namespace

Dim make_dim(std::shared_ptr<const DimExpr> expr) {
  if (expr->terms.empty()) return Dim(0);
  if (expr->terms.size() == 1 && expr->terms.begin()->first.empty()) {
    return Dim(expr->terms.begin()->second);
  }
  Dim d;
  d.expr_ = std::move(expr);
  return d;
}

namespace {

Dim make_dim(DimExpr e) { return onnxrun::make_dim(std::make_shared<const DimExpr>(std::move(e))); }

int64_t checked(bool overflow, int64_t value) {
  if (overflow) fail(ErrorKind::Limit, "a dimension does not fit 64 bits");
  return value;
}
int64_t checked_add(int64_t a, int64_t b) {
  int64_t r = 0;
  bool overflow = __builtin_add_overflow(a, b, &r);
  return checked(overflow, r);
}
int64_t checked_mul(int64_t a, int64_t b) {
  int64_t r = 0;
  bool overflow = __builtin_mul_overflow(a, b, &r);
  return checked(overflow, r);
}

// Adds a * b to the coefficient of a term; false if it does not fit 64 bits.
bool accumulate(DimExpr& sum, const DimExpr::Monomial& term, int64_t a, int64_t b) {
  int64_t product = 0, &total = sum.terms[term];
  if (__builtin_mul_overflow(a, b, &product) || __builtin_add_overflow(total, product, &total)) {
    return false;
  }
  if (total == 0) sum.terms.erase(term);
  return true;
}

// Large expressions cost time quadratically and tell nobody anything: past so many terms, or
// characters of names in all of them, a length is unknown. So is one with too large a coefficient.
constexpr size_t max_terms = 32, max_characters = 1024;

bool is_bounded(const DimExpr& e) {
  if (e.terms.size() > max_terms) return false;
  size_t characters = 0;
  for (const auto& [atoms, c] : e.terms) {
    for (const std::string& atom : atoms) characters += atom.size() + 1;
  }
  // A name that the file has is as long as it is.
  return characters <= max_characters || is_atom(e);
}

Dim bounded(DimExpr e) { return is_bounded(e) ? make_dim(std::move(e)) : Dim(); }

Dim add(const DimExpr& a, const DimExpr& b, int64_t sign) {
  DimExpr sum = a;
  for (const auto& [term, c] : b.terms) {
    if (!accumulate(sum, term, c, sign)) return Dim();
  }
  return bounded(std::move(sum));
}

Dim multiply(const DimExpr& a, const DimExpr& b) {
  if (!is_bounded(a) || !is_bounded(b)) return Dim();
  DimExpr product;
  for (const auto& [ta, ca] : a.terms) {
    for (const auto& [tb, cb] : b.terms) {
      DimExpr::Monomial term;
      std::merge(ta.begin(), ta.end(), tb.begin(), tb.end(), std::back_inserter(term));
      if (!accumulate(product, term, ca, cb)) return Dim();
    }
  }
  return bounded(std::move(product));
}

}  // namespace

static DimExpr expr_of(const Dim& d, const std::shared_ptr<const DimExpr>& e) {
  return e ? *e : constant_expr(d.value());
}

Dim Dim::symbol(const std::string& name) {
  DimExpr e;
  e.terms[{name}] = 1;
  return onnxrun::make_dim(std::make_shared<const DimExpr>(std::move(e)));
}

std::string Dim::to_string() const {
  if (known_) return std::to_string(value_);
  return expr_ ? text_of(*expr_) : "?";
}

bool operator==(const Dim& a, const Dim& b) {
  if (a.known_ && b.known_) return a.value_ == b.value_;
  return a.expr_ && b.expr_ && *a.expr_ == *b.expr_;
}

Dim operator+(const Dim& a, const Dim& b) {
  if (a.known_ && b.known_) return Dim(checked_add(a.value_, b.value_));
  if (a.is_unknown() || b.is_unknown()) return Dim();
  return add(expr_of(a, a.expr_), expr_of(b, b.expr_), 1);
}

Dim operator-(const Dim& a, const Dim& b) {
  if (a.known_ && b.known_) return Dim(checked_add(a.value_, checked_mul(-1, b.value_)));
  if (a.is_unknown() || b.is_unknown()) return Dim();
  return add(expr_of(a, a.expr_), expr_of(b, b.expr_), -1);
}

Dim operator*(const Dim& a, const Dim& b) {
  if (a.known_ && b.known_) return Dim(checked_mul(a.value_, b.value_));
  if ((a.known_ && a.value_ == 0) || (b.known_ && b.value_ == 0)) return Dim(0);
  if (a.is_unknown() || b.is_unknown()) return Dim();
  return multiply(expr_of(a, a.expr_), expr_of(b, b.expr_));
}

// Characters of a name made of others.
static constexpr size_t max_name = 200;

Dim floor_div(const Dim& a, const Dim& b) {
  if (a.known_ && b.known_) {
    if (b.value_ == 0) fail(ErrorKind::BadInput, "division of a dimension by zero");
    if (b.value_ == -1) return Dim(checked_mul(a.value_, -1));
    int64_t q = a.value_ / b.value_;
    return Dim((a.value_ % b.value_ != 0 && (a.value_ < 0) != (b.value_ < 0)) ? q - 1 : q);
  }
  if (a.is_unknown() || b.is_unknown()) return Dim();
  if (b.known_ && b.value_ == 1) return a;
  if (b.known_ && b.value_ == 0) fail(ErrorKind::BadInput, "division of a dimension by zero");
  DimExpr ea = expr_of(a, a.expr_), eb = expr_of(b, b.expr_);
  if (auto q = divide_exactly(ea, eb)) return make_dim(std::move(*q));
  auto wrapped = [](const DimExpr& e, const Dim& d) {
    return is_atom(e) || d.is_known() ? d.to_string() : "(" + d.to_string() + ")";
  };
  std::string text = "(" + wrapped(ea, a) + "//" + wrapped(eb, b) + ")";
  return text.size() > max_name ? Dim() : Dim::symbol(text);
}

Dim ceil_div(const Dim& a, const Dim& b) {
  Dim exact = floor_div(a, b);
  if (!exact.is_unknown() && exact * b == a) return exact;
  return floor_div(a + b - Dim(1), b);
}

Dim opaque(std::string_view function, const std::vector<Dim>& args) {
  std::string text(function);
  text += "(";
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i].is_unknown()) return Dim();
    text += (i ? ", " : "") + args[i].to_string();
    if (text.size() > max_name) return Dim();
  }
  return Dim::symbol(text + ")");
}

Dim max(const Dim& a, const Dim& b) {
  if (a.is_known() && b.is_known()) return Dim(std::max(a.value(), b.value()));
  return a == b ? a : opaque("max", {a, b});
}

Dim min(const Dim& a, const Dim& b) {
  if (a.is_known() && b.is_known()) return Dim(std::min(a.value(), b.value()));
  return a == b ? a : opaque("min", {a, b});
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + shape[i].to_string();
  return text + "]";
}

std::string to_string(std::span<const int64_t> dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) text += (i ? "," : "") + std::to_string(dims[i]);
  return text + "]";
}

bool all_known(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& d) { return d.is_known(); });
}

Dims to_dims(const Shape& shape) {
  Dims dims;
  dims.reserve(shape.size());
  for (const Dim& d : shape) dims.push_back(d.value());
  return dims;
}

Shape to_shape(std::span<const int64_t> dims) { return Shape(dims.begin(), dims.end()); }

int64_t element_count(std::span<const int64_t> dims) {
  check_rank(dims.size());
  int64_t count = 1;
  bool overflow = false, empty = false;
  for (int64_t d : dims) {
    if (d < 0) fail(ErrorKind::BadInput, "a shape has a negative length: {}", to_string(dims));
    empty |= d == 0;
    overflow |= __builtin_mul_overflow(count, d, &count);
  }
  if (empty) return 0;
  if (overflow) {
    fail(ErrorKind::Limit, "shape {} has more elements than 64 bits count", to_string(dims));
  }
  return count;
}

Dim element_count(const Shape& shape) {
  Dim count(1);
  for (const Dim& d : shape) count = count * d;
  return count;
}

int64_t normalize_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    fail(ErrorKind::BadInput, "axis {} is out of range for a tensor of rank {}", axis, rank);
  }
  return axis < 0 ? axis + rank : axis;
}

static Dim broadcast_dim(const Dim& a, const Dim& b, bool& compatible) {
  if (a.is_known() && b.is_known()) {
    compatible &= a.value() == b.value() || a.value() == 1 || b.value() == 1;
    return a.value() == 1 ? b : a;
  }
  if (a.is_known()) return a.value() == 1 ? b : a;
  if (b.is_known()) return b.value() == 1 ? a : b;
  return a == b ? a : Dim();
}

Shape broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  bool compatible = true;
  size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    out[offset + i] = broadcast_dim(longer[offset + i], shorter[i], compatible);
  }
  if (!compatible) {
    fail(ErrorKind::BadInput, "shapes {} and {} do not broadcast", to_string(a), to_string(b));
  }
  return out;
}

Dims broadcast(std::span<const int64_t> a, std::span<const int64_t> b) {
  return to_dims(broadcast(to_shape(a), to_shape(b)));
}

}  // namespace onnxrun
