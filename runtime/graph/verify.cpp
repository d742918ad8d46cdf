#include <fmt/format.h>

#include "base/error.h"
#include "graph/graph.h"

namespace onnxrun {

namespace {

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph), produced_(graph.value_count(), false) {}

  void run() {
    for (ValueId v : graph_.inputs) produce(v, "an input");
    for (const auto& [id, init] : graph_.initializers) {
      produce(id, "an initializer");
      require(init.value.defined(), "initializer '{}' has no tensor", graph_.name_of(id));
    }
    for (const Node& node : graph_.nodes) check_node(node);
    for (ValueId v : graph_.outputs) read(v, "an output");
    for (ValueId v : graph_.guards) read(v, "a guard");
    for (const StateBinding& s : graph_.state) {
      read(s.in, "state");
      read(s.out, "state");
    }
    for (ValueId v : graph_.overridable) {
      require(graph_.initializers.count(v) > 0, "overridable '{}' is no initializer",
              graph_.name_of(v));
    }
  }

 private:
  template <typename... Args>
  static void require(bool ok, fmt::format_string<Args...> format, Args&&... args) {
    if (!ok) throw Error(ErrorKind::Internal, fmt::format(format, std::forward<Args>(args)...));
  }

  bool in_range(ValueId v) const { return v >= 0 && static_cast<size_t>(v) < produced_.size(); }

  void produce(ValueId v, std::string_view who) {
    require(in_range(v), "value id {} of {} is out of range", v, who);
    require(!produced_[static_cast<size_t>(v)], "'{}' is produced twice", graph_.name_of(v));
    produced_[static_cast<size_t>(v)] = true;
  }

  void read(ValueId v, const std::string& who) const {
    require(in_range(v), "value id {} read by {} is out of range", v, who);
    require(produced_[static_cast<size_t>(v)], "'{}' is read by {} before it is produced",
            graph_.name_of(v), who);
  }

  void check_node(const Node& node) {
    require(node.info && node.op, "a node has no operator");
    std::string who = describe(graph_, node);
    for (ValueId v : node.inputs) {
      if (v != no_value) read(v, who);
    }
    for (ValueId v : node.outputs) {
      if (v != no_value) produce(v, who);
    }
    require(node.bodies.size() == node.info->spec.bodies.size(), "{} has {} bodies", who,
            node.bodies.size());
    for (const Graph& body : node.bodies) {
      require(body.inputs.size() >= static_cast<size_t>(node.captures),
              "a body of {} does not take its captures", who);
      verify(body);
    }
  }

  const Graph& graph_;
  std::vector<bool> produced_;
};

}  // namespace

void verify(const Graph& graph) { Verifier(graph).run(); }

}  // namespace onnxrun
