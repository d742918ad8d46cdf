#include "graph/cost.h"

#include <algorithm>

namespace onnxrun {

namespace {

// A normalised element is added up, squared and added up, moved, scaled, weighted and shifted; a
// probability is compared, moved, raised, added up and divided.
int64_t operations_an_element(const Node& node) {
  const OpSpec& spec = node.info->spec;
  if (spec.meaning == Meaning::Probabilities || spec.meaning == Meaning::LogProbabilities) return 5;
  switch (spec.kind) {
    case OpKind::Move:
      return 0;
    case OpKind::Normalization:
      return 7;
    case OpKind::Other:
      return node.op->traits().elementwise ? 1 : 0;
    default:
      return 1;
  }
}

bool computes_with_floats(const CostContext& c) {
  auto is_float_tensor = [](const Type& t) { return t.is_tensor() && is_float(t.dtype); };
  return is_float_tensor(c.output()) || is_float_tensor(c.input(0));
}

}  // namespace

Count operator*(Count a, Count b) {
  if (!a.value_ || !b.value_) return std::nullopt;
  int64_t product = 0;
  return __builtin_mul_overflow(*a.value_, *b.value_, &product) ? INT64_MAX : product;
}

Count operator+(Count a, Count b) {
  if (!a.value_ || !b.value_) return std::nullopt;
  int64_t sum = 0;
  return __builtin_add_overflow(*a.value_, *b.value_, &sum) ? INT64_MAX : sum;
}

Count length_of(const Type& type, int64_t axis) {
  if (!type.shape) return std::nullopt;
  auto rank = static_cast<int64_t>(type.shape->size());
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) return std::nullopt;
  const Dim& dim = (*type.shape)[static_cast<size_t>(axis)];
  return dim.is_known() ? Count(dim.value()) : std::nullopt;
}

Count elements_of(const Type& type, size_t first) {
  if (!type.shape) return std::nullopt;
  Count product = 1;
  for (size_t i = first; i < type.shape->size(); ++i) {
    product = product * length_of(type, static_cast<int64_t>(i));
  }
  return product;
}

Count bytes_of(const Type& type) {
  if (!type.is_tensor() || type.dtype == DType::Undefined || type.dtype == DType::String) {
    return std::nullopt;
  }
  std::optional<int64_t> bits = (elements_of(type) * bits_of(type.dtype)).value();
  if (!bits || *bits == INT64_MAX) return bits ? Count(*bits) : std::nullopt;
  return (*bits + 7) / 8;
}

const Type& CostContext::input(size_t i) const {
  static const Type unknown;
  return has_input(i) ? graph_.value(node_.inputs[i]).type : unknown;
}

const Type& CostContext::output(size_t i) const {
  static const Type unknown;
  bool there = i < node_.outputs.size() && node_.outputs[i] != no_value;
  return there ? graph_.value(node_.outputs[i]).type : unknown;
}

const Tensor* CostContext::constant(size_t i) const {
  return has_input(i) ? graph_.constant(node_.inputs[i]) : nullptr;
}

Count products_of(const CostContext& c, Count terms, std::optional<size_t> bias) {
  Count products = 2 * c.output_elements() * terms;
  return bias && c.has_input(*bias) ? products + c.output_elements() : products;
}

Count elementwise_operations(const CostContext& c) {
  const int64_t each = computes_with_floats(c) ? operations_an_element(c.node()) : 0;
  if (each == 0) return 0;
  std::optional<int64_t> largest = c.output_elements().value();
  for (size_t i = 0; largest && i < c.node().inputs.size(); ++i) {
    if (!c.has_input(i)) continue;
    std::optional<int64_t> n = c.elements(i).value();
    if (!n) return std::nullopt;
    largest = std::max(*largest, *n);
  }
  return largest ? Count(*largest) * each : std::nullopt;
}

}  // namespace onnxrun
