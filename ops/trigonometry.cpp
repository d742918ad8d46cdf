// Tan, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh.
#include <cmath>

#include "elementwise_unary.h"

namespace onnxrun {

namespace {

// The C library's function on elements; a Rule has f() and slope(), the derivative at input or
// output.
template <typename Rule>
struct LibraryRule {
  static constexpr DTypeSet types = dtypes::floats;
  template <typename T>
  T one(T x) const {
    return Rule::f(x);
  }
  void gradient(GradientContext& g) const { g.set(0, Rule::slope(g, g.input(0), g.grad(0))); }
};

// a + sign v^2
ValueId with_square(GradientContext& g, double a, int sign, ValueId v) {
  ValueId square = g.mul(v, v), number = g.scalar_like(a, v);
  return sign > 0 ? g.plus(square, number) : g.minus(number, square);
}

ValueId root(GradientContext& g, ValueId v) { return g.add("Sqrt", {v}); }

struct Tan {
  template <typename T>
  static T f(T x) {
    return std::tan(x);
  }
  static ValueId slope(GradientContext& g, ValueId, ValueId dy) {
    return g.mul(dy, with_square(g, 1, 1, g.output(0)));
  }
};

struct Asin {
  template <typename T>
  static T f(T x) {
    return std::asin(x);
  }
  static ValueId slope(GradientContext& g, ValueId x, ValueId dy) {
    return g.div(dy, root(g, with_square(g, 1, -1, x)));
  }
};

struct Acos {
  template <typename T>
  static T f(T x) {
    return std::acos(x);
  }
  static ValueId slope(GradientContext& g, ValueId x, ValueId dy) {
    return g.neg(Asin::slope(g, x, dy));
  }
};

struct Atan {
  template <typename T>
  static T f(T x) {
    return std::atan(x);
  }
  static ValueId slope(GradientContext& g, ValueId x, ValueId dy) {
    return g.div(dy, with_square(g, 1, 1, x));
  }
};

struct Sinh {
  template <typename T>
  static T f(T x) {
    return std::sinh(x);
  }
  static ValueId slope(GradientContext& g, ValueId x, ValueId dy) {
    return g.mul(dy, g.add("Cosh", {x}));
  }
};

struct Cosh {
  template <typename T>
  static T f(T x) {
    return std::cosh(x);
  }
  static ValueId slope(GradientContext& g, ValueId x, ValueId dy) {
    return g.mul(dy, g.add("Sinh", {x}));
  }
};

struct Asinh {
  template <typename T>
  static T f(T x) {
    return std::asinh(x);
  }
  static ValueId slope(GradientContext& g, ValueId x, ValueId dy) {
    return g.div(dy, root(g, with_square(g, 1, 1, x)));
  }
};

struct Acosh {
  template <typename T>
  static T f(T x) {
    return std::acosh(x);
  }
  static ValueId slope(GradientContext& g, ValueId x, ValueId dy) {
    return g.div(dy, root(g, with_square(g, -1, 1, x)));
  }
};

struct Atanh {
  template <typename T>
  static T f(T x) {
    return std::atanh(x);
  }
  static ValueId slope(GradientContext& g, ValueId x, ValueId dy) {
    return g.div(dy, with_square(g, 1, -1, x));
  }
};

template <typename Rule>
void add_trigonometric(OpRegistry& r, std::string_view name, std::string_view doc, int first) {
  add_unary<LibraryRule<Rule>>(r, {name, doc, {first, 22}, "input", "output"});
}

}  // namespace

void register_trigonometry(OpRegistry& r) {
  add_trigonometric<Tan>(r, "Tan", "the tangent", 7);
  add_trigonometric<Asin>(r, "Asin", "the inverse sine", 7);
  add_trigonometric<Acos>(r, "Acos", "the inverse cosine", 7);
  add_trigonometric<Atan>(r, "Atan", "the inverse tangent", 7);
  add_trigonometric<Sinh>(r, "Sinh", "the hyperbolic sine", 9);
  add_trigonometric<Cosh>(r, "Cosh", "the hyperbolic cosine", 9);
  add_trigonometric<Asinh>(r, "Asinh", "the inverse hyperbolic sine", 9);
  add_trigonometric<Acosh>(r, "Acosh", "the inverse hyperbolic cosine", 9);
  add_trigonometric<Atanh>(r, "Atanh", "the inverse hyperbolic tangent", 9);
}

}  // namespace onnxrun
