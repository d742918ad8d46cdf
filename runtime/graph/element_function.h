// Functions of single elements, of which machine graphs make programs that read their operands
// once.
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

namespace onnxrun {

// Named as the operators that compute them.
enum class ElementFunction : uint8_t {
  // Of two numbers.
  Add,
  Sub,
  Mul,
  Div,
  Min,
  Max,
  // Of one number.
  Neg,
  Abs,
  Round,
  Floor,
  Ceil,
  Reciprocal,
  Relu,
  Sqrt,
  Exp,
  Log,
  Tanh,
  Sigmoid,
  Softplus,
  Erf,
  // Of two numbers, a truth value.
  Less,
  LessOrEqual,
  Greater,
  GreaterOrEqual,
  Equal,
  // Of a truth value and two numbers: the first number where it holds, else the second.
  Where,
};

inline constexpr std::string_view element_function_names[] = {
    "Add",      "Sub",  "Mul",   "Div",         "Min",     "Max",
    "Neg",      "Abs",  "Round", "Floor",       "Ceil",    "Reciprocal",
    "Relu",     "Sqrt", "Exp",   "Log",         "Tanh",    "Sigmoid",
    "Softplus", "Erf",  "Less",  "LessOrEqual", "Greater", "GreaterOrEqual",
    "Equal",    "Where"};

constexpr std::string_view to_string(ElementFunction f) {
  return element_function_names[static_cast<size_t>(f)];
}
constexpr std::optional<ElementFunction> find_element_function(std::string_view name) {
  for (size_t i = 0; i < std::size(element_function_names); ++i) {
    if (element_function_names[i] == name) return static_cast<ElementFunction>(i);
  }
  return std::nullopt;
}

constexpr bool gives_truth(ElementFunction f) {
  return f >= ElementFunction::Less && f <= ElementFunction::Equal;
}
constexpr int operands_of(ElementFunction f) {
  if (f == ElementFunction::Where) return 3;
  return f >= ElementFunction::Neg && f <= ElementFunction::Erf ? 1 : 2;
}

// What an operator is too, if its nodes of as many inputs as the function has operands compute it
// for each element of the broadcast inputs, all numbers of one floating-point type.
class Elementwise {
 public:
  virtual ElementFunction element_function() const = 0;

 protected:
  ~Elementwise() = default;
};

}  // namespace onnxrun
