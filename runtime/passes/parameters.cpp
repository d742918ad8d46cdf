#include "passes/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace onnxrun {

namespace {

constexpr std::string_view kind_key = "pkg.torch.export.graph_signature.InputSpec.kind";
constexpr std::string_view folded_key = "pkg.onnxscript.optimizer.folded_from";

std::string metadata(const Value& value, std::string_view key) {
  auto it = value.metadata.find(std::string(key));
  return it == value.metadata.end() ? "" : it->second;
}

// "['rec.weight_ih_l0', 'val_0']": the names with a dot, which are those of module attributes.
std::vector<std::string> module_names(const std::string& list) {
  std::vector<std::string> names;
  for (size_t at = list.find('\''); at != std::string::npos; at = list.find('\'', at + 1)) {
    size_t end = list.find('\'', at + 1);
    if (end == std::string::npos) break;
    std::string name = list.substr(at + 1, end - at - 1);
    if (name.find('.') != std::string::npos) names.push_back(name);
    at = end;
  }
  return names;
}

bool all_zero(const Tensor& t) {
  std::vector<double> values = to_doubles(t);
  return std::all_of(values.begin(), values.end(), [](double v) { return v == 0; });
}

struct Verdict {
  Role role = Role::Constant;
  std::string reason;
  bool beside = false;  // only an operand beside a product or a norm
};

// Inputs that operators take as weights, biases, scales or tables; -1 is any input.
const std::map<std::string_view, std::vector<int>>& weight_positions() {
  static const std::map<std::string_view, std::vector<int>> positions = {
      {"MatMul", {0, 1}},
      {"Gemm", {0, 1, 2}},
      {"Conv", {1, 2}},
      {"ConvTranspose", {1, 2}},
      {"RNN", {1, 2, 3}},
      {"GRU", {1, 2, 3}},
      {"LSTM", {1, 2, 3, 7}},
      {"PRelu", {1}},
      {"Gather", {0}},
      {"Einsum", {-1}},
      {"DeformConv", {1, 3}},
      {"BatchNormalization", {1, 2}},
      {"LayerNormalization", {1, 2}},
      {"InstanceNormalization", {1, 2}},
      {"GroupNormalization", {1, 2}},
      {"RMSNormalization", {1}}};
  return positions;
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool passes_on(std::string_view op) {
  return is_one_of(op, {"Transpose", "Reshape", "Slice", "Concat", "Identity", "Cast", "Unsqueeze",
                        "Squeeze", "Flatten", "Split", "Expand"});
}

bool makes_product(std::string_view op) {
  return is_one_of(op, {"MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum"});
}

bool is_activation(std::string_view op) {
  return is_one_of(op, {"Relu", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Gelu",
                        "Clip", "HardSigmoid", "HardSwish", "MaxPool", "AveragePool"});
}

const Node* producer_of(const Graph& graph, ValueId v) {
  for (const Node& node : graph.nodes) {
    if (std::find(node.outputs.begin(), node.outputs.end(), v) != node.outputs.end()) return &node;
  }
  return nullptr;
}

// True if `v` is a mean or a sum of squares, a root of one if `rooted`: what a norm that is written
// out divides by.
bool is_spread(const Graph& graph, ValueId v, bool rooted = false, int depth = 0) {
  const Node* node = v == no_value || depth > 8 ? nullptr : producer_of(graph, v);
  if (node == nullptr) return false;
  std::string_view op = node->info->spec.name;
  if (op == "ReduceL2") return true;
  if (is_one_of(op, {"ReduceMean", "ReduceSum", "ReduceSumSquare", "GlobalAveragePool"}))
    return rooted;
  if (!is_one_of(op, {"Sqrt", "Reciprocal", "Add", "Max", "Clip", "Cast", "Expand", "Div", "Mul"}))
    return false;
  return std::any_of(node->inputs.begin(), node->inputs.end(), [&](ValueId in) {
    return is_spread(graph, in, rooted || op == "Sqrt", depth + 1);
  });
}

// True for x / spread and x * (1 / spread).
bool is_norm(const Graph& graph, const Node& node) {
  std::string_view op = node.info->spec.name;
  if (op == "InstanceNormalization") return true;
  if (op == "Div") return is_spread(graph, node.inputs[1]);
  return op == "Mul" && (is_spread(graph, node.inputs[0]) || is_spread(graph, node.inputs[1]));
}

// Follows values forward from an initializer to the nodes that use it.
class Follower {
 public:
  Verdict follow(const Graph& graph, ValueId v) {
    top_ = &graph;
    // A number without axes is a factor of the formula, or what a state is filled with.
    const Type& type = graph.value(v).type;
    if (type.shape && type.shape->empty()) return {};
    visit(graph, v);
    if (!statistics_.empty()) return {Role::Buffer, "running statistic of " + statistics_};
    if (!weight_.empty()) return {Role::Parameter, weight_, beside_};
    return {};
  }

 private:
  void visit(const Graph& graph, ValueId v) {
    if (!seen_.insert({&graph, v}).second) return;
    for (const Node& node : graph.nodes) {
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (node.inputs[i] == v) use(graph, node, i);
      }
    }
  }

  void use(const Graph& graph, const Node& node, size_t i) {
    std::string_view op = node.info->spec.name;
    if (op == "BatchNormalization" && i >= 3) statistics_ = describe(graph, node);
    auto it = weight_positions().find(op);
    if (it != weight_positions().end()) {
      for (int at : it->second) {
        if (at >= 0 && at != static_cast<int>(i)) continue;
        found(graph, node, i, op == "InstanceNormalization");
      }
    }
    if (is_one_of(op, {"Add", "Sub", "Mul", "Sum"}) && beside_product(graph, node, i)) {
      found(graph, node, i, true);
    }
    if (passes_on(op)) {
      for (ValueId out : node.outputs) {
        if (out != no_value) visit(graph, out);
      }
    }
    for (const Graph& body : node.bodies) enter(node, body, i);
  }

  void found(const Graph& graph, const Node& node, size_t i, bool beside) {
    if (weight_.empty()) weight_ = fmt::format("input {} of {}", i, describe(graph, node));
    beside_ &= beside;
  }

  // Captures come after the formal inputs; carried state and scan inputs are formal inputs, behind
  // Loop's trip count and condition.
  void enter(const Node& node, const Graph& body, size_t i) {
    size_t at = i;
    if (i >= node.formal_inputs()) {
      at = body.inputs.size() - static_cast<size_t>(node.captures) + (i - node.formal_inputs());
    } else if (node.info->spec.name == "If") {
      return;
    }
    if (at < body.inputs.size()) visit(body, body.inputs[at]);
  }

  // True if another operand of the node comes from a product with a weight, from a norm, or from
  // one that was folded behind them.
  bool beside_product(const Graph& graph, const Node& node, size_t i) const {
    bool affine = is_affine(graph, node, i);
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      if (k == i || node.inputs[k] == no_value) continue;
      if (from_product(graph, node.inputs[k], affine, 0)) return true;
      if (node.info->spec.name == "Mul" && is_spread(graph, node.inputs[k])) return true;
    }
    return false;
  }

  // With `affine` also through activations: a norm that follows one stays behind it when folded.
  bool from_product(const Graph& graph, ValueId v, bool affine, int depth) const {
    const Node* node = depth > 6 ? nullptr : producer_of(graph, v);
    if (node == nullptr) return false;
    std::string_view op = node->info->spec.name;
    if (makes_product(op)) return has_weight(graph, *node);
    if (is_norm(graph, *node)) return true;
    bool folded = passes_on(op) || (affine && is_activation(op)) ||
                  (is_one_of(op, {"Mul", "Add", "Sub"}) && has_constant(graph, *node));
    return folded && node->inputs[0] != no_value &&
           std::any_of(node->inputs.begin(), node->inputs.end(), [&](ValueId in) {
             return in != no_value && from_product(graph, in, affine, depth + 1);
           });
  }

  // True for both constants of x * a + b if they have the same axes, of which one is longer than 1.
  static bool is_affine(const Graph& graph, const Node& node, size_t i) {
    auto channels = [&](ValueId v) {
      auto it = graph.initializers.find(v);
      if (it == graph.initializers.end()) return Dims{};
      const Dims& shape = it->second.value.dims();
      bool one = std::count_if(shape.begin(), shape.end(), [](int64_t n) { return n > 1; }) == 1;
      return one ? shape : Dims{};
    };
    auto other_constant = [&](const Node& n) {
      for (ValueId in : n.inputs) {
        if (in != no_value && !channels(in).empty()) return channels(in);
      }
      return Dims{};
    };
    Dims mine = channels(node.inputs[i]);
    if (mine.empty()) return false;
    std::string_view op = node.info->spec.name;
    if (op == "Add") {
      for (size_t k = 0; k < node.inputs.size(); ++k) {
        const Node* before = k == i ? nullptr : producer_of(graph, node.inputs[k]);
        if (before != nullptr && before->info->spec.name == "Mul" &&
            other_constant(*before) == mine)
          return true;
      }
      return false;
    }
    return op == "Mul" && std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& n) {
             return n.info->spec.name == "Add" && other_constant(n) == mine &&
                    std::find(n.inputs.begin(), n.inputs.end(), node.outputs[0]) != n.inputs.end();
           });
  }

  // False if all operands are computed, as queries and keys are: what is added to their product is
  // a mask. Inside a body a weight may come from outside.
  bool has_weight(const Graph& graph, const Node& product) const {
    return std::any_of(product.inputs.begin(), product.inputs.end(),
                       [&](ValueId v) { return v != no_value && may_be_weight(graph, v, 0); });
  }

  bool may_be_weight(const Graph& graph, ValueId v, int depth) const {
    if (graph.initializers.count(v) > 0) return true;
    const Node* node = depth > 6 ? nullptr : producer_of(graph, v);
    if (node == nullptr) {
      return &graph != top_ &&
             std::find(graph.inputs.begin(), graph.inputs.end(), v) != graph.inputs.end();
    }
    return passes_on(node->info->spec.name) && node->inputs[0] != no_value &&
           may_be_weight(graph, node->inputs[0], depth + 1);
  }

  static bool has_constant(const Graph& graph, const Node& node) {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId v) { return graph.initializers.count(v) > 0; });
  }

  const Graph* top_ = nullptr;
  std::set<std::pair<const Graph*, ValueId>> seen_;
  std::string statistics_, weight_;
  bool beside_ = true;
};

Verdict by_mark(const Graph& graph, ValueId v, const Tensor& tensor,
                const std::set<std::string>& stored, const Verdict& use) {
  const Value& value = graph.value(v);
  std::string kind = metadata(value, kind_key);
  if (kind == "PARAMETER") return {Role::Parameter, "marked PARAMETER"};
  if (kind == "BUFFER") return {Role::Buffer, "marked BUFFER"};
  std::vector<std::string> origins = module_names(metadata(value, folded_key));
  if (origins.empty()) {
    // A convolution that took up its batch norm has new weights, which keep the names only.
    bool named = value.name.find('.') != std::string::npos && value.metadata.empty();
    if (named && use.role == Role::Parameter) return use;
    return {Role::Constant, "not marked as a parameter"};
  }
  // A product of stored weights with a zero state is no weight of its own, unless a bias went into
  // it.
  bool baked = std::all_of(origins.begin(), origins.end(),
                           [&](const std::string& name) { return stored.count(name) > 0; });
  if (baked && all_zero(tensor)) return {Role::Constant, "a baked zero"};
  return {Role::Parameter,
          "folded from " + origins.front() + (origins.size() > 1 ? " and others" : "")};
}

// True for the value of a Constant node of the main graph.
bool in_constant_node(const Graph& graph, const Initializer& init) {
  constexpr std::pair<int, int> graph_field{7, 0};
  constexpr int node_field = 1;
  if (!graph.source || init.stored < 0) return false;
  const auto& path = graph.source->stored[static_cast<size_t>(init.stored)].path;
  return path.size() > 2 && path[0] == graph_field && path[1].first == node_field;
}

// An exporter that stores weights as initializers has factors and offsets of the formula, and the
// ones and zeros of a norm without weights, in Constant nodes.
void leave_constant_nodes(Graph& graph, const std::vector<ValueId>& beside) {
  bool weights_stored =
      std::any_of(graph.initializers.begin(), graph.initializers.end(), [&](const auto& entry) {
        return entry.second.role == Role::Parameter && !in_constant_node(graph, entry.second);
      });
  if (!weights_stored) return;
  for (ValueId id : beside) {
    Initializer& init = graph.initializers.at(id);
    if (init.role != Role::Parameter || !in_constant_node(graph, init)) continue;
    init.role = Role::Constant;
    init.reason = "a Constant node, where weights are initializers";
  }
}

}  // namespace

void choose_parameters(Graph& graph) {
  std::set<std::string> stored;
  std::vector<ValueId> beside;
  bool marked = false;
  for (const auto& [id, init] : graph.initializers) {
    stored.insert(graph.name_of(id));
    marked |= metadata(graph.value(id), kind_key) == "PARAMETER";
  }
  for (auto& [id, init] : graph.initializers) {
    if (!is_differentiable(init.value.dtype()) || init.stored < 0) continue;
    Verdict use = Follower().follow(graph, id);
    Verdict verdict = use;
    if (marked && use.role != Role::Buffer) verdict = by_mark(graph, id, init.value, stored, use);
    if (!marked && verdict.role == Role::Constant &&
        graph.name_of(id).find("ReadVariableOp") != std::string::npos) {
      verdict = {Role::Parameter, "named as a variable"};
    }
    if (verdict.beside) beside.push_back(id);
    init.role = verdict.role;
    init.reason = verdict.reason.empty() ? "not used as a weight" : verdict.reason;
  }
  leave_constant_nodes(graph, beside);
}

}  // namespace onnxrun
