#include "trainability.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "export_losses.h"
#include "graph/builder.h"
#include "passes/gradient.h"
#include "training/modes.h"

namespace onnxrun::tool {

namespace {

void warn_of(Findings& findings, const char* rule, const Error& error) {
  findings.add({Severity::Warning, rule, error});
}

std::vector<ValueId> parameters_of(const Graph& graph) {
  std::vector<ValueId> parameters;
  for (const auto& [id, init] : graph.initializers) {
    if (init.role == Role::Parameter) parameters.push_back(id);
  }
  return parameters;
}

class Trainability {
 public:
  Trainability(Graph graph, Findings& findings)
      : graph_(std::move(graph)), findings_(findings), parameters_(parameters_of(graph_)) {}

  std::vector<ParameterState> run() {
    if (parameters_.empty()) {
      warn_of(findings_, "no-parameters",
              Error(ErrorKind::BadModel, "no initializer is a parameter: nothing would train"));
    }
    check_export();
    std::vector<bool> flows = differentiate();
    std::vector<ParameterState> states;
    for (size_t k = 0; k < parameters_.size(); ++k) {
      states.push_back({graph_.name_of(parameters_[k]), flows[k]});
      if (!flows[k]) explain(parameters_[k]);
    }
    return states;
  }

 private:
  void check_export() {
    for (const ExportLoss& loss : export_losses(graph_)) {
      findings_.add({Severity::Note, loss.rule, Error(ErrorKind::BadModel, loss.text)});
    }
  }

  // Which parameters a gradient comes to. An operator without one is noted and taken out, so that
  // the next is found, too.
  std::vector<bool> differentiate() {
    std::vector<bool> flows(parameters_.size(), false);
    Graph cut = graph_;
    set_training_modes(cut, {});
    for (size_t attempts = graph_.nodes.size() + 1; attempts > 0; --attempts) {
      Graph trial = cut;
      std::vector<Seed> seeds;
      GraphBuilder builder(trial);
      for (ValueId v : trial.outputs) {
        if (carries_gradient(trial.value(v).type)) seeds.push_back({v, builder.zeros_like(v)});
      }
      try {
        std::vector<bool> found;
        gradient(trial, seeds, parameters_, &found);
        return found;
      } catch (const Error& e) {
        if (e.kind() != ErrorKind::Unsupported && e.kind() != ErrorKind::BadModel) throw;
        warn_of(findings_, "no-gradient", e);
        if (!remove_node(cut, e.node())) break;
      }
    }
    return flows;
  }

  // Makes inputs of the outputs of the node that goes by `name`.
  static bool remove_node(Graph& graph, const std::string& name) {
    auto it = std::find_if(graph.nodes.begin(), graph.nodes.end(),
                           [&](const Node& node) { return frame_of(graph, node).name == name; });
    if (it == graph.nodes.end()) return false;
    for (ValueId v : it->outputs) {
      if (v != no_value) graph.inputs.push_back(v);
    }
    graph.nodes.erase(it);
    return true;
  }

  // The first node on the way of `parameter` that no gradient passes.
  void explain(ValueId parameter) {
    std::string text = fmt::format("no gradient reaches parameter '{}'", graph_.name_of(parameter));
    std::set<ValueId> reached = {parameter};
    const Node* last = nullptr;
    for (const Node& node : graph_.nodes) {
      bool reads = std::any_of(node.inputs.begin(), node.inputs.end(),
                               [&](ValueId v) { return reached.count(v) > 0; });
      if (!reads) continue;
      last = &node;
      bool passes = node.info->spec.gradient != GradientState::NotDifferentiable;
      bool carries = false;
      for (ValueId v : node.outputs) {
        if (v == no_value || !carries_gradient(graph_.value(v).type)) continue;
        carries = true;
        if (passes) reached.insert(v);
      }
      if (passes && carries) continue;
      Error e(ErrorKind::Unsupported,
              text + (passes ? ": the outputs of the operator are no floating-point numbers"
                             : ": the operator is not differentiable"));
      warn_of(findings_, "no-gradient", e.in(frame_of(graph_, node)));
      return;
    }
    if (last) {
      Error e(ErrorKind::Unsupported, text + ": none comes through the operators it leads to");
      warn_of(findings_, "no-gradient", e.in(frame_of(graph_, *last)));
    } else {
      warn_of(findings_, "no-gradient", Error(ErrorKind::Unsupported, text + ": no node reads it"));
    }
  }

  Graph graph_;
  Findings& findings_;
  std::vector<ValueId> parameters_;
};

}  // namespace

std::vector<ParameterState> check_trainable(const Graph& graph, Findings& findings) {
  return Trainability(graph, findings).run();
}

}  // namespace onnxrun::tool
