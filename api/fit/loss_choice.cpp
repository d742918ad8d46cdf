#include "fit/loss_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "training/loss.h"
#include "training/training_graph.h"

namespace onnxrun {

namespace {

// The operator that gives the value its meaning, behind what only moves elements of one tensor.
const OpSpec* last_operator(const Graph& graph, ValueId v) {
  std::vector<int> producers = graph.producers();
  while (v != no_value && producers[static_cast<size_t>(v)] >= 0) {
    const Node& node = graph.nodes[static_cast<size_t>(producers[static_cast<size_t>(v)])];
    const OpSpec& spec = node.info->spec;
    bool moves_one = spec.kind == OpKind::Move;
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      moves_one &= node.inputs[i] == no_value || spec.role_of(i) != InputRole::Data;
    }
    if (!moves_one) return &spec;
    v = node.inputs.front();
  }
  return nullptr;
}

Meaning meaning_of(const OpSpec* last) { return last ? last->meaning : Meaning::Any; }

std::string default_loss(Meaning meaning, const Tensor& target) {
  if (!target.defined()) return "output";
  bool classes = is_integer(target.dtype());
  if (meaning == Meaning::LogProbabilities) return classes ? "nll" : "kl";
  if (meaning == Meaning::Probabilities) return classes ? "nll_probs" : "mse";
  if (meaning == Meaning::Probability) return "bce";
  return classes ? "cross_entropy" : "mse";
}

// Losses that take an output for something that its last operator does not give.
struct Mismatch {
  std::string_view loss;
  Meaning meaning;
  std::string_view text;
};
constexpr Mismatch mismatches[] = {
    {"cross_entropy", Meaning::Probabilities, "applies one itself; 'nll_probs' does not"},
    {"cross_entropy", Meaning::LogProbabilities, "applies one itself; 'nll' does not"},
    {"bce_with_logits", Meaning::Probability, "applies one itself; 'bce' does not"},
    {"bce_with_logits", Meaning::Probabilities, "applies a Sigmoid behind it; 'bce' does not"},
    {"nll", Meaning::Probabilities, "takes log-probabilities; 'nll_probs' takes probabilities"},
    {"nll_probs", Meaning::LogProbabilities, "takes probabilities; 'nll' takes log-probabilities"},
    {"bce", Meaning::LogProbabilities, "takes probabilities; 'kl' takes log-probabilities"},
    {"kl", Meaning::Probabilities, "takes log-probabilities"},
    {"kl", Meaning::Probability, "takes log-probabilities"},
};

// Losses of probabilities or their logarithms, and those of the scores that linear layers give.
constexpr std::pair<std::string_view, std::string_view> for_scores[] = {
    {"nll", "takes log-probabilities; 'cross_entropy' takes scores"},
    {"nll_probs", "takes probabilities; 'cross_entropy' takes scores"},
    {"bce", "takes probabilities; 'bce_with_logits' takes scores"},
    {"kl", "takes log-probabilities, behind a LogSoftmax"},
};

// Whether the value comes from a layer with weights, but for a number for each class that is added.
bool gives_scores(const Graph& graph, ValueId v) {
  std::vector<int> producers = graph.producers();
  while (v != no_value && producers[static_cast<size_t>(v)] >= 0) {
    const Node& node = graph.nodes[static_cast<size_t>(producers[static_cast<size_t>(v)])];
    const OpSpec& spec = node.info->spec;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (spec.role_of(i) == InputRole::Weight) return true;
    }
    if (node.inputs.size() != 2) return false;
    auto stored = [&](size_t i) { return graph.initializers.count(node.inputs[i]) > 0; };
    if (stored(0) == stored(1)) return false;
    v = node.inputs[stored(0) ? 1 : 0];
  }
  return false;
}

std::string warning_of(const Graph& graph, const LossOptions& loss, const OpSpec* last) {
  for (const Mismatch& m : mismatches) {
    if (loss.name != m.loss || meaning_of(last) != m.meaning) continue;
    return fmt::format("output '{}' comes from a {}, and loss '{}' {}", loss.output, last->name,
                       loss.name, m.text);
  }
  for (const auto& [name, text] : for_scores) {
    if (loss.name != name || !gives_scores(graph, find_output(graph, loss.output))) continue;
    return fmt::format("output '{}' comes from a linear layer, and loss '{}' {}", loss.output,
                       loss.name, text);
  }
  return "";
}

}  // namespace

std::pair<std::string, std::string> split_output(const Graph& graph, const std::string& text) {
  std::vector<std::string> outputs;
  for (ValueId v : graph.outputs) outputs.push_back(graph.name_of(v));
  for (size_t at = text.find('='); at != std::string::npos; at = text.find('=', at + 1)) {
    std::string name = text.substr(0, at);
    if (std::find(outputs.begin(), outputs.end(), name) != outputs.end()) {
      return {name, text.substr(at + 1)};
    }
  }
  return {"", text};
}

ChosenLoss choose_loss(const Graph& graph, const LossOptions& asked, const Tensor& target) {
  ValueId v = find_output(graph, asked.output);
  const OpSpec* last = last_operator(graph, v);
  ChosenLoss chosen{asked, asked.name.empty()};
  LossOptions& loss = chosen.loss;
  loss.output = graph.name_of(v);
  if (chosen.by_default && !target.defined() && graph.value(v).type.rank() != 0) {
    fail(ErrorKind::BadInput,
         "the data have no array target, y or label (--target KEY chooses one)");
  }
  if (chosen.by_default) loss.name = default_loss(meaning_of(last), target);
  find_loss(loss.name);
  if (loss.name == "output" && loss.reduction) {
    fail(ErrorKind::Usage, "a reduction has no meaning for loss 'output'");
  }
  if (loss.class_axis && !find_loss(loss.name).class_indices) {
    fail(ErrorKind::Usage, "a class axis has no meaning for loss '{}'", loss.name);
  }
  chosen.warning = warning_of(graph, loss, last);
  return chosen;
}

}  // namespace onnxrun
