#include "model_lints.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "function_table.h"
#include "graph_reader.h"
#include "model_message.h"
#include "proto_fields.h"

namespace onnxrun {

namespace {

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
using Names = std::unordered_set<std::string>;

constexpr int64_t first_ir_with_functions = 8;

// Operators that the standard has given up, and since when.
const std::map<std::string, std::pair<int64_t, std::string>> deprecated = {
    {"Upsample", {10, "Resize"}}, {"Scatter", {11, "ScatterElements"}}};

template <typename F>
void for_each_body(const onnx::NodeProto& node, const F& f) {
  for (const auto& a : node.attribute()) {
    if (a.has_g()) f(a.g());
    for (const auto& g : a.graphs()) f(g);
  }
}

// All names that the nodes and the graphs inside them read.
void collect_reads(const onnx::NodeProto& node, Names& names) {
  names.insert(node.input().begin(), node.input().end());
  for_each_body(node, [&](const onnx::GraphProto& body) {
    for (const auto& inner : body.node()) collect_reads(inner, names);
    for (const auto& output : body.output()) names.insert(output.name());
  });
}

class Lint {
 public:
  Lint(const onnx::ModelProto& model, Findings& findings) : model_(model), findings_(findings) {
    for (const auto& import : model.opset_import()) {
      opsets_.emplace(normalized_domain(import.domain()), import.version());
    }
  }

  void run() {
    check_model();
    check_functions();
    check_graph(model_.graph(), {}, true);
    place_ = nullptr;
  }

 private:
  // Nodes of one graph or function.
  struct Region {
    const Nodes& nodes;
    Names needed;  // by what is outside
  };

  void add(Severity severity, const char* rule, std::string text,
           const onnx::NodeProto* node = nullptr, std::string found = "",
           std::string expected = "") {
    Error error(ErrorKind::BadModel, std::move(text));
    if (node) error = error.in(frame_of(*node));
    if (place_) error = error.in(*place_);
    findings_.add({severity, rule, error, std::move(found), std::move(expected)});
  }

  void check_model() {
    if (model_.graph().name().empty()) {
      add(Severity::Warning, "no-graph-name", "the graph has no name; the standard wants one");
    }
    if (model_.graph().output_size() == 0) {
      add(Severity::Warning, "no-outputs", "the graph has no outputs: a run computes nothing");
    }
    std::set<std::string> keys;
    for (const auto& entry : model_.metadata_props()) {
      if (!keys.insert(entry.key()).second) {
        add(Severity::Warning, "duplicate-metadata",
            fmt::format("key '{}' of metadata_props is given twice", entry.key()));
      }
    }
    if (model_.training_info_size() > 0) {
      add(Severity::Note, "training-info",
          "training_info has a training step of its own, which `onnxrun step` runs; `onnxrun "
          "train` "
          "makes another");
    }
  }

  void check_functions() {
    if (model_.functions_size() == 0) return;
    if (model_.ir_version() < first_ir_with_functions) {
      add(Severity::Warning, "ir-version",
          fmt::format("the model has functions, which came with IR version {}: found {}, expected "
                      "{} or newer",
                      first_ir_with_functions, model_.ir_version(), first_ir_with_functions),
          nullptr, std::to_string(model_.ir_version()), std::to_string(first_ir_with_functions));
    }
    std::set<std::pair<std::string, std::string>> called;
    collect_calls(model_.graph().node(), called);
    for (const auto& f : model_.functions()) collect_calls(f.node(), called);
    for (const auto& f : model_.functions()) {
      ErrorFrame place{ErrorFrame::Kind::Place, "function '" + f.name() + "'", ""};
      place_ = &place;
      std::string domain = normalized_domain(f.domain());
      if (!called.count({domain, f.name()})) {
        add(Severity::Note, "unused-function", "nothing calls it, so it is not checked further");
      } else if (!opsets_.count(domain)) {
        add(Severity::Warning, "function-domain",
            fmt::format("its domain '{}' is not imported by the model", domain));
      }
      Region region{f.node(), Names(f.output().begin(), f.output().end())};
      check_nodes(region);
      place_ = nullptr;
    }
  }

  static void collect_calls(const Nodes& nodes,
                            std::set<std::pair<std::string, std::string>>& calls) {
    for (const auto& node : nodes) {
      calls.emplace(normalized_domain(node.domain()), node.op_type());
      for_each_body(node, [&](const onnx::GraphProto& g) { collect_calls(g.node(), calls); });
    }
  }

  void check_graph(const onnx::GraphProto& graph, const Names& outer, bool main) {
    Region region{graph.node(), {}};
    for (const auto& output : graph.output()) region.needed.insert(output.name());
    Names used = check_nodes(region);
    check_names(graph, outer);
    check_inputs(graph, used, main);
    check_initializers(graph, used, main);
    check_value_info(graph);
    Names inside = outer;
    collect_names(graph, inside);
    for (const auto& node : graph.node()) {
      for_each_body(node, [&](const onnx::GraphProto& body) {
        const ErrorFrame* before = place_;
        ErrorFrame place = frame_of(node);
        place_ = &place;
        check_graph(body, inside, false);
        place_ = before;
      });
    }
  }

  static void collect_names(const onnx::GraphProto& graph, Names& names) {
    for (const auto& input : graph.input()) names.insert(input.name());
    for (const auto& tensor : graph.initializer()) names.insert(tensor.name());
    for (const auto& node : graph.node()) names.insert(node.output().begin(), node.output().end());
  }

  // Names of the enclosing graphs that a body gives to values of its own.
  void check_names(const onnx::GraphProto& graph, const Names& outer) {
    if (outer.empty()) return;
    Names own;
    collect_names(graph, own);
    std::set<std::string> sorted(own.begin(), own.end());
    for (const std::string& name : sorted) {
      if (name.empty() || !outer.count(name)) continue;
      add(Severity::Warning, "shadowed-name",
          fmt::format("value '{}' has the name of one of the graph around", name));
    }
  }

  // Notes what is wrong with single nodes and those that nothing needs; returns the names that are
  // read by the others, and from outside.
  Names check_nodes(const Region& region) {
    std::unordered_map<std::string, int> named;
    for (const auto& node : region.nodes) {
      if (!node.name().empty() && ++named[node.name()] == 2) {
        add(Severity::Warning, "duplicate-node-name", "several nodes have this name", &node);
      }
      check_deprecated(node);
    }
    return find_unused(region);
  }

  void check_deprecated(const onnx::NodeProto& node) {
    auto it = deprecated.find(node.op_type());
    if (it == deprecated.end() || !normalized_domain(node.domain()).empty()) return;
    auto opset = opsets_.find("");
    if (opset == opsets_.end() || opset->second < it->second.first) return;
    add(Severity::Warning, "deprecated",
        fmt::format("the operator is deprecated since opset {}, opset {} is imported; {} took its "
                    "place",
                    it->second.first, opset->second, it->second.second),
        &node);
  }

  Names find_unused(const Region& region) {
    std::unordered_map<std::string, int> producers;
    for (int n = 0; n < region.nodes.size(); ++n) {
      for (const std::string& output : region.nodes[n].output()) producers.emplace(output, n);
    }
    std::vector<bool> needed(static_cast<size_t>(region.nodes.size()));
    Names read = region.needed;
    std::vector<std::string> open(read.begin(), read.end());
    while (!open.empty()) {
      auto it = producers.find(open.back());
      open.pop_back();
      if (it == producers.end() || needed[static_cast<size_t>(it->second)]) continue;
      needed[static_cast<size_t>(it->second)] = true;
      Names inputs;
      collect_reads(region.nodes[it->second], inputs);
      for (const std::string& name : inputs) {
        if (read.insert(name).second) open.push_back(name);
      }
    }
    for (int n = 0; n < region.nodes.size(); ++n) {
      if (needed[static_cast<size_t>(n)]) continue;
      add(Severity::Warning, "unused-node", "no output depends on it", &region.nodes[n]);
    }
    return read;
  }

  void check_inputs(const onnx::GraphProto& graph, const Names& used, bool main) {
    Names stored;
    for (const auto& tensor : graph.initializer()) stored.insert(tensor.name());
    for (const auto& input : graph.input()) {
      if (main && !used.count(input.name()) && !stored.count(input.name())) {
        add(Severity::Warning, "unused-input",
            fmt::format("no output depends on input '{}'", input.name()));
      }
      if (main) check_dims(input);
    }
    for (const auto& output : graph.output()) {
      if (main) check_dims(output);
    }
  }

  void check_dims(const onnx::ValueInfoProto& value) {
    bool typed = value.type().value_case() != onnx::TypeProto::VALUE_NOT_SET;
    if (typed && !value.type().has_tensor_type()) return;
    if (!typed || !value.type().tensor_type().has_shape()) {
      add(Severity::Warning, "no-shape",
          fmt::format("'{}' has no shape; the standard wants one of inputs and outputs, with open "
                      "dimensions if need be",
                      value.name()));
    }
    for (const auto& dim : value.type().tensor_type().shape().dim()) {
      const std::string& name = dim.dim_param();
      bool number = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isdigit(c) || c == '-';
      });
      if (number) {
        add(Severity::Warning, "dimension-name",
            fmt::format("a dimension of '{}' has the name '{}', which is a number", value.name(),
                        name));
      }
      if (dim.has_dim_value() && dim.dim_value() == 0) {
        add(Severity::Note, "zero-length",
            fmt::format("a dimension of '{}' has length 0; one that is open has a name, or nothing",
                        value.name()));
      }
    }
  }

  void check_initializers(const onnx::GraphProto& graph, const Names& used, bool main) {
    Names listed;
    for (const auto& input : graph.input()) listed.insert(input.name());
    auto check = [&](const std::string& name) {
      if (!name.empty() && !used.count(name)) {
        add(Severity::Warning, "unused-initializer",
            fmt::format("no output depends on initializer '{}'", name));
      }
      if (main && model_.ir_version() < first_ir_without_listed_initializers &&
          !listed.count(name)) {
        add(Severity::Warning, "initializer-not-input",
            fmt::format("initializer '{}' is not listed as an input: found IR version {}, expected "
                        "{} or newer",
                        name, model_.ir_version(), first_ir_without_listed_initializers),
            nullptr, std::to_string(model_.ir_version()),
            std::to_string(first_ir_without_listed_initializers));
      }
    };
    for (const auto& tensor : graph.initializer()) check(tensor.name());
    for (const auto& tensor : graph.sparse_initializer()) check(tensor.values().name());
  }

  void check_value_info(const onnx::GraphProto& graph) {
    Names names;
    collect_names(graph, names);
    for (const auto& info : graph.value_info()) {
      if (names.count(info.name())) continue;
      add(Severity::Note, "unknown-value-info",
          fmt::format("value_info describes '{}', which nothing produces", info.name()));
    }
  }

  const onnx::ModelProto& model_;
  Findings& findings_;
  Opsets opsets_;
  const ErrorFrame* place_ = nullptr;  // the body or function around
};

}  // namespace

void lint_model(const onnx::ModelProto& model, Findings& findings) { Lint(model, findings).run(); }

}  // namespace onnxrun
