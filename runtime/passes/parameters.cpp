#include "passes/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "passes/export_marks.h"
#include "passes/weight_uses.h"

namespace onnxrun {

namespace {

// What the exporter calls each tensor of the module, by its name there.
std::map<std::string, std::string, std::less<>> signature_of(const Graph& graph) {
  std::map<std::string, std::string, std::less<>> kinds;
  for (ModuleTensor& t : module_tensors(graph)) {
    // Outputs say what becomes of a tensor; the inputs, which stand first, what it is.
    kinds.emplace(std::move(t.target), std::move(t.kind));
  }
  return kinds;
}

bool all_zero(const Tensor& t) {
  std::vector<double> values = to_doubles(t);
  return std::all_of(values.begin(), values.end(), [](double v) { return v == 0; });
}

// Exporters write -inf, or the most negative number of a type, where attention must not look.
bool is_mask(const Tensor& t) {
  constexpr double half_range = 6e4;
  std::vector<double> values = to_doubles(t);
  return std::any_of(values.begin(), values.end(), [](double v) { return v < -half_range; });
}

// "cls", "encoder.layers.0.norm1.weight", and not "onnx::MatMul_17", "Constant_3", "/a/Add_output",
// "val_4", "scalar_tensor_default" (PyTorch's for a number beside a tensor), "12".
bool is_module_name(std::string_view name) {
  for (const char* generated : {"Constant", "val_", "scalar_tensor"}) {
    if (name.starts_with(generated)) return false;
  }
  bool starts = true;
  for (char c : name) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != '.') return false;
    if (starts && c == '.') return false;
    starts = c == '.';
  }
  bool number = name.find_first_not_of("0123456789") == name.npos;  // of a value without a name
  return !starts && !number;
}

// "/norm/Constant_1_output_0": PyTorch's name for the value of a Constant node, which optimizers
// make an initializer under this name.
bool is_constant_output(std::string_view name) {
  name.remove_prefix(std::min(name.size(), name.rfind('/') + 1));
  return name.starts_with("Constant") && name.ends_with("_output_0");
}

// True for the value of a Constant node of the main graph, or what it has become.
bool in_constant_node(const Graph& graph, ValueId v) {
  if (is_constant_output(graph.name_of(v))) return true;
  const Initializer& init = graph.initializers.at(v);
  constexpr std::pair<int, int> graph_field{7, 0};
  constexpr int node_field = 1;
  if (!graph.source || init.stored < 0) return false;
  const auto& path = graph.source->stored[static_cast<size_t>(init.stored)].path;
  return path.size() > 2 && path[0] == graph_field && path[1].first == node_field;
}

struct Verdict {
  Role role = Role::Constant;
  std::string reason;
  bool beside = false;  // only an operand beside a product or a norm
};

// The roles of a graph's initializers, by the exporter's marks if there are any, else by name and
// use.
class Judge {
 public:
  explicit Judge(const Graph& graph)
      : graph_(graph), uses_(weight_uses(graph)), signature_(signature_of(graph)) {
    marked_ = std::any_of(signature_.begin(), signature_.end(),
                          [](const auto& entry) { return entry.second == "PARAMETER"; });
    for (const auto& [id, init] : graph.initializers) {
      stored_.insert(graph.name_of(id));
      marked_ |= metadata_of(graph.value(id), export_mark::kind) == "PARAMETER";
    }
    names_ = graph.source && graph.source->producer.starts_with("pytorch");
  }

  Verdict verdict(ValueId v, const Tensor& tensor) const {
    const WeightUse& use = uses_[static_cast<size_t>(v)];
    if (use.statistic) {
      return {Role::Buffer,
              "running statistic of " + describe(*use.statistic_graph, *use.statistic)};
    }
    if (marked_) return by_mark(v, tensor, use);
    if (names_ && is_module_name(graph_.name_of(v))) return by_name(tensor, use);
    if (graph_.name_of(v).find("ReadVariableOp") != std::string::npos && !use.node) {
      return {Role::Parameter, "named as a variable"};
    }
    // The state of zeros that a loop in Python starts from.
    if (names_ && use.node && use.input == 0 && in_constant_node(graph_, v) && all_zero(tensor)) {
      return {Role::Constant, "a Constant node of zeros that a product starts with"};
    }
    if (use.node && starts_a_layer(use) && all_zero(tensor)) {
      return {Role::Constant, "zeros that a layer with stored weights starts with"};
    }
    return by_use(tensor, use);
  }

 private:
  // What is fed to a product with a bias whose matrix is stored, too: a product of two weights, as
  // low-rank updates have them, has no bias of its own.
  static bool starts_a_layer(const WeightUse& use) {
    const Node& node = *use.node;
    const std::vector<Param>& params = node.info->spec.inputs;
    if (use.input != 0 || node.inputs.size() < 3 || params.size() < 3) return false;
    return params[1].role == InputRole::Weight && params[2].role == InputRole::Bias &&
           node.inputs[2] != no_value && use.graph->initializers.count(node.inputs[1]) > 0;
  }

  static Verdict by_use(const Tensor& tensor, const WeightUse& use) {
    // A number without axes is a factor of the formula, or what a state is filled with.
    if (!use.node || tensor.dims().empty()) return {Role::Constant, "not used as a weight"};
    return {Role::Parameter,
            fmt::format("input {} of {}", use.input, describe(*use.graph, *use.node)), use.beside};
  }

  static Verdict by_name(const Tensor& tensor, const WeightUse& use) {
    if (!use.computes) return {Role::Constant, "named by a module, but only a setting"};
    if (is_mask(tensor)) return {Role::Constant, "named by a module, but its values are a mask's"};
    Verdict v = by_use(tensor, use);
    return {Role::Parameter, v.role == Role::Parameter ? v.reason : "named by a module"};
  }

  std::string kind_of(std::string_view name) const {
    auto it = signature_.find(name);
    return it == signature_.end() ? "" : it->second;
  }

  Verdict by_mark(ValueId v, const Tensor& tensor, const WeightUse& use) const {
    const Value& value = graph_.value(v);
    std::string kind = metadata_of(value, export_mark::kind);
    if (kind.empty()) kind = kind_of(value.name);
    if (kind == "PARAMETER") return {Role::Parameter, "marked PARAMETER"};
    if (kind == "BUFFER") return {Role::Buffer, "marked BUFFER"};
    if (!kind.empty()) return {Role::Constant, "marked " + kind};
    std::vector<std::string> origins =
        parameters_among(quoted_names(metadata_of(value, export_mark::folded_from)));
    if (origins.empty()) {
      // A convolution that took up its batch norm has a new bias, which has a module's name only.
      bool named = value.name.find('.') != std::string::npos && value.metadata.empty();
      Verdict by_position = by_use(tensor, use);
      if (named && by_position.role == Role::Parameter) return by_position;
      return {Role::Constant, "not marked as a parameter"};
    }
    // A product of stored weights with a zero state is no weight of its own, unless a bias went
    // into it.
    bool baked = std::all_of(origins.begin(), origins.end(),
                             [&](const std::string& name) { return stored_.count(name) > 0; });
    if (baked && all_zero(tensor)) return {Role::Constant, "a baked zero"};
    return {Role::Parameter,
            "folded from " + origins.front() + (origins.size() > 1 ? " and others" : "")};
  }

  // Without a signature a dot tells the names of a module's tensors from those of values.
  std::vector<std::string> parameters_among(std::vector<std::string> names) const {
    std::erase_if(names, [&](const std::string& name) {
      return signature_.empty() ? name.find('.') == std::string::npos
                                : kind_of(name) != "PARAMETER";
    });
    return names;
  }

  const Graph& graph_;
  std::vector<WeightUse> uses_;
  std::map<std::string, std::string, std::less<>> signature_;
  std::set<std::string> stored_;
  bool marked_ = false, names_ = false;
};

// An exporter that stores weights as initializers has factors and offsets of the formula, and the
// ones and zeros of a norm without weights, in Constant nodes.
void leave_constant_nodes(Graph& graph, const std::vector<ValueId>& beside) {
  bool weights_stored =
      std::any_of(graph.initializers.begin(), graph.initializers.end(), [&](const auto& entry) {
        return entry.second.role == Role::Parameter && !in_constant_node(graph, entry.first);
      });
  if (!weights_stored) return;
  for (ValueId id : beside) {
    Initializer& init = graph.initializers.at(id);
    if (init.role != Role::Parameter || !in_constant_node(graph, id)) continue;
    init.role = Role::Constant;
    init.reason = "a Constant node, where weights are initializers";
  }
}

// Replaces inputs of nodes in the order of one pass over the graph.
void redirect(Graph& graph, const std::map<ValueId, ValueId>& stands_for) {
  auto resolve = [&](ValueId& v) {
    auto it = stands_for.find(v);
    if (it != stands_for.end()) v = it->second;
  };
  for (Node& node : graph.nodes) std::for_each(node.inputs.begin(), node.inputs.end(), resolve);
  std::for_each(graph.outputs.begin(), graph.outputs.end(), resolve);
}

// Parameters that were folded from the same tensors of the module in the same way, as the steps of
// an unrolled layer have them, become one, which is written back to all places.
void join_copies(Graph& graph) {
  std::map<std::string, std::vector<ValueId>> by_origin;
  for (const auto& [id, init] : graph.initializers) {
    std::string origin = metadata_of(graph.value(id), export_mark::folded_from);
    if (init.role == Role::Parameter && !origin.empty()) by_origin[origin].push_back(id);
  }
  std::map<ValueId, ValueId> stands_for;
  for (const auto& [origin, all] : by_origin) {
    std::vector<ValueId> firsts;
    for (ValueId v : all) {
      Initializer& init = graph.initializers.at(v);
      auto same = std::find_if(firsts.begin(), firsts.end(), [&](ValueId first) {
        return identical(graph.initializers.at(first).value, init.value);
      });
      if (same == firsts.end()) {
        firsts.push_back(v);
        continue;
      }
      graph.initializers.at(*same).copies.push_back(init.stored);
      stands_for[v] = *same;
    }
  }
  if (stands_for.empty()) return;
  redirect(graph, stands_for);
  for (const auto& [copy, first] : stands_for) {
    Initializer& init = graph.initializers.at(copy);
    init.role = Role::Constant;
    init.reason = "a copy of " + graph.name_of(first) + ", which trains for both";
  }
}

}  // namespace

void choose_parameters(Graph& graph) {
  std::vector<ValueId> beside;
  Judge judge(graph);
  for (auto& [id, init] : graph.initializers) {
    if (!is_differentiable(init.value.dtype()) || init.stored < 0) continue;
    Verdict verdict = judge.verdict(id, init.value);
    if (verdict.beside) beside.push_back(id);
    init.role = verdict.role;
    init.reason = std::move(verdict.reason);
  }
  leave_constant_nodes(graph, beside);
  join_copies(graph);
}

}  // namespace onnxrun
