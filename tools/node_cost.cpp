#include "node_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "graph/node_attributes.h"

namespace onnxrun::tool {

namespace {

using Count = std::optional<int64_t>;

int64_t times(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}
int64_t plus(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}
Count times(Count a, Count b) { return a && b ? Count(times(*a, *b)) : std::nullopt; }
Count plus(Count a, Count b) { return a && b ? Count(plus(*a, *b)) : std::nullopt; }

// The values of one node.
class Values {
 public:
  Values(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

  bool has_input(size_t i) const { return i < node_.inputs.size() && node_.inputs[i] != no_value; }
  const Type& input(size_t i) const {
    static const Type unknown;
    return has_input(i) ? graph_.value(node_.inputs[i]).type : unknown;
  }
  const Type& output(size_t i = 0) const {
    static const Type unknown;
    bool there = i < node_.outputs.size() && node_.outputs[i] != no_value;
    return there ? graph_.value(node_.outputs[i]).type : unknown;
  }

  // The length of an axis, counted from the end if negative.
  static Count length(const Type& type, int64_t axis) {
    if (!type.shape) return std::nullopt;
    auto rank = static_cast<int64_t>(type.shape->size());
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) return std::nullopt;
    const Dim& dim = (*type.shape)[static_cast<size_t>(axis)];
    return dim.is_known() ? Count(dim.value()) : std::nullopt;
  }
  // The product of the lengths from axis `first` on.
  static Count elements(const Type& type, size_t first = 0) {
    if (!type.shape) return std::nullopt;
    Count product = 1;
    for (size_t i = first; i < type.shape->size(); ++i) {
      product = times(product, length(type, static_cast<int64_t>(i)));
    }
    return product;
  }
  static Count bytes(const Type& type) {
    Count n = type.is_tensor() ? elements(type) : std::nullopt;
    if (!n || type.dtype == DType::Undefined || type.dtype == DType::String) return std::nullopt;
    int64_t bits = times(*n, bits_of(type.dtype));
    return bits == INT64_MAX ? bits : (bits + 7) / 8;
  }

 private:
  const Graph& graph_;
  const Node& node_;
};

// A formula for the products of one kind of operator; sums, biases and activations beside them are
// left out, as they are small.
using Formula = std::function<Count(const Values&, const Node&)>;

Count matrix_product(const Values& v, const Node&) {
  return times(times(2, Values::elements(v.output())), Values::length(v.input(0), -1));
}

Count gemm(const Values& v, const Node& node) {
  bool transposed = attribute_or<int64_t>(node, "transA", 0) != 0;
  Count inner = Values::length(v.input(0), transposed ? 0 : 1);
  Count bias = v.has_input(2) ? Values::elements(v.output()) : Count(0);
  return plus(times(times(2, Values::elements(v.output())), inner), bias);
}

// `weight` is the input [out channels, in channels / group, kernel...].
Formula convolution(size_t weight, size_t bias) {
  return [=](const Values& v, const Node&) {
    Count products =
        times(times(2, Values::elements(v.output())), Values::elements(v.input(weight), 1));
    return plus(products, v.has_input(bias) ? Values::elements(v.output()) : Count(0));
  };
}

// The weight is [in channels, out channels / group, kernel...].
Count transposed_convolution(const Values& v, const Node&) {
  Count products = times(times(2, Values::elements(v.input(0))), Values::elements(v.input(1), 1));
  return plus(products, v.has_input(2) ? Values::elements(v.output()) : Count(0));
}

// X [sequence, batch, inputs] (batch first with layout 1), W [directions, gates * hidden, inputs],
// R [directions, gates * hidden, hidden].
Count recurrent(const Values& v, const Node&) {
  Count steps = times(Values::length(v.input(0), 0), Values::length(v.input(0), 1));
  Count weights = plus(Values::elements(v.input(1)), Values::elements(v.input(2)));
  return times(times(2, steps), weights);
}

// Q [batch, heads, queries, depth] or [batch, queries, heads * depth] against as many keys: scores
// and their product with the values, both of the number of query elements times keys.
Count attention(const Values& v, const Node&) {
  Count keys = Values::length(v.input(1), -2);
  return times(times(2, keys), plus(Values::elements(v.input(0)), Values::elements(v.output())));
}

// The projection [batch, tokens, inputs] by [inputs, 3 * hidden], and attention among the tokens.
Count projected_attention(const Values& v, const Node&) {
  Count tokens = times(Values::length(v.input(0), 0), Values::length(v.input(0), 1));
  Count projection = times(times(2, tokens), Values::elements(v.input(1)));
  Count scores = times(times(4, Values::length(v.input(0), 1)), Values::elements(v.output()));
  return plus(projection, scores);
}

Count pool(const Values& v, const Node& node) {
  Count window = 1;
  for (int64_t k : attribute_or<std::vector<int64_t>>(node, "kernel_shape", {})) {
    window = times(window, Count(k));
  }
  return times(Values::elements(v.output()), window);
}

Count each_input(const Values& v, const Node&) { return Values::elements(v.input(0)); }

// Every label once: as many products of all operands.
Count einsum(const Values& v, const Node& node) {
  std::string equation = attribute_or<std::string>(node, "equation", "");
  std::erase(equation, ' ');
  std::string inputs = equation.substr(0, equation.find("->"));
  if (inputs.find('.') != std::string::npos) return std::nullopt;
  std::map<char, Count> lengths;
  size_t operand = 0;
  int64_t axis = 0;
  for (char c : inputs) {
    if (c == ',') {
      ++operand;
      axis = 0;
    } else {
      lengths[c] = Values::length(v.input(operand), axis++);
    }
  }
  Count all = static_cast<int64_t>(std::max<size_t>(operand + 1, 2));
  for (const auto& [label, length] : lengths) all = times(all, length);
  return all;
}

const std::map<std::string, Formula, std::less<>>& formulas() {
  static const std::map<std::string, Formula, std::less<>> table = {
      {"MatMul", matrix_product},
      {"MatMulInteger", matrix_product},
      {"QLinearMatMul", matrix_product},
      {"com.microsoft.FusedMatMul", matrix_product},
      {"com.microsoft.MatMulNBits", matrix_product},
      {"com.microsoft.DynamicQuantizeMatMul", matrix_product},
      {"com.microsoft.MatMulIntegerToFloat", matrix_product},
      {"Gemm", gemm},
      {"com.microsoft.FusedGemm", gemm},
      {"Conv", convolution(1, 2)},
      {"com.microsoft.FusedConv", convolution(1, 2)},
      {"ConvInteger", convolution(1, 99)},
      {"QLinearConv", convolution(3, 8)},
      {"DeformConv", convolution(1, 3)},
      {"ConvTranspose", transposed_convolution},
      {"RNN", recurrent},
      {"LSTM", recurrent},
      {"GRU", recurrent},
      {"Attention", attention},
      {"com.microsoft.MultiHeadAttention", attention},
      {"com.microsoft.Attention", projected_attention},
      {"MaxPool", pool},
      {"AveragePool", pool},
      {"LpPool", pool},
      {"Einsum", einsum},
      {"ReduceMax", each_input},
      {"ReduceMin", each_input},
      {"ReduceProd", each_input},
      {"ReduceLogSumExp", each_input},
      {"CumSum", each_input},
  };
  return table;
}

// Of operators without a formula: how many operations one element of the largest input or output
// takes. A normalised element is added up, squared and added up, moved, scaled, weighted and
// shifted; a probability is compared, moved, raised, added up and divided.
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

bool computes_with_floats(const Values& v, const Node& node) {
  auto is_float_tensor = [](const Type& t) { return t.is_tensor() && is_float(t.dtype); };
  return is_float_tensor(v.output()) || (!node.inputs.empty() && is_float_tensor(v.input(0)));
}

// How often a body runs, where the file says so.
Count iterations_of(const Graph& graph, const Node& node) {
  std::string op = node.info->qualified_name();
  if (op == "Scan" && node.formal_inputs() > 0) {
    std::vector<int64_t> axes = attribute_or<std::vector<int64_t>>(node, "scan_input_axes", {});
    return Values::length(Values(graph, node).input(node.formal_inputs() - 1),
                          axes.empty() ? 0 : axes.back());
  }
  if (op != "Loop" || node.inputs[0] == no_value) return std::nullopt;
  const Tensor* most = graph.constant(node.inputs[0]);
  return most && most->size() == 1 ? Count(to_int64s(*most)[0]) : std::nullopt;
}

Count flops_of_bodies(const Graph& graph, const Node& node) {
  Count most = 0, all = 0;
  for (const Graph& body : node.bodies) {
    GraphCost cost = cost_of(body);
    if (cost.unknown > 0) return std::nullopt;
    most = std::max(*most, cost.flops);
    all = plus(all, Count(cost.flops));
  }
  if (node.op->body_layout().once) return most;
  return all == 0 ? all : times(all, iterations_of(graph, node));
}

Count flops_of(const Graph& graph, const Node& node) {
  Values v(graph, node);
  if (!node.bodies.empty()) return flops_of_bodies(graph, node);
  auto formula = formulas().find(node.info->qualified_name());
  if (formula != formulas().end()) return formula->second(v, node);
  int64_t each = computes_with_floats(v, node) ? operations_an_element(node) : 0;
  if (each == 0) return 0;
  Count largest = Values::elements(v.output());
  for (size_t i = 0; largest && i < node.inputs.size(); ++i) {
    if (!v.has_input(i)) continue;
    Count n = Values::elements(v.input(i));
    if (!n) return std::nullopt;
    largest = std::max(*largest, *n);
  }
  return times(largest, Count(each));
}

}  // namespace

NodeCost cost_of(const Graph& graph, const Node& node) {
  NodeCost cost;
  cost.flops = flops_of(graph, node);
  cost.output_bytes = 0;
  Count inputs = 0;
  for (ValueId v : node.inputs) {
    if (v != no_value) inputs = plus(inputs, Values::bytes(graph.value(v).type));
  }
  for (ValueId v : node.outputs) {
    if (v != no_value) {
      cost.output_bytes = plus(cost.output_bytes, Values::bytes(graph.value(v).type));
    }
  }
  cost.bytes = node.op->traits().view ? Count(0) : plus(inputs, cost.output_bytes);
  return cost;
}

GraphCost cost_of(const Graph& graph) {
  GraphCost total;
  for (const Node& node : graph.nodes) {
    NodeCost cost = cost_of(graph, node);
    if (!cost.flops || !cost.bytes) ++total.unknown;
    total.flops = plus(total.flops, cost.flops.value_or(0));
    total.bytes = plus(total.bytes, cost.bytes.value_or(0));
  }
  return total;
}

std::map<size_t, std::vector<ValueId>> initializers_by_node(const Graph& graph) {
  std::map<ValueId, std::vector<ValueId>> behind;  // initializers that a value is made of alone
  for (const auto& [id, init] : graph.initializers) behind[id] = {id};
  std::set<ValueId> seen;
  std::map<size_t, std::vector<ValueId>> result;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    std::vector<ValueId> stored;
    bool constant = !node.inputs.empty();
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      ValueId v = node.inputs[i];
      if (v == no_value || node.info->spec.role_of(i) == InputRole::Setting) continue;
      auto it = behind.find(v);
      constant = constant && it != behind.end();
      if (it != behind.end()) stored.insert(stored.end(), it->second.begin(), it->second.end());
    }
    if (constant && !stored.empty()) {
      for (ValueId v : node.outputs) behind[v] = stored;
      continue;
    }
    for (ValueId v : stored) {
      if (seen.insert(v).second) result[n].push_back(v);
    }
  }
  return result;
}

std::string short_number(double value, const std::string& of) {
  constexpr std::array units = {"", "k", "M", "G", "T", "P", "E"};
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g} {}{}", value, units[unit], of);
}

}  // namespace onnxrun::tool
