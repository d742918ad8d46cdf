#include "fit/measuring.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "fit/saved_fit.h"
#include "fit/target_checks.h"
#include "training/loss_sum.h"

namespace onnxrun {

namespace {

MetricOptions metric_options(const Graph& graph, const LossTask& task, const TrainingOptions& all,
                             const std::string& target) {
  const LossOptions& loss = task.chosen.loss;
  if (loss.graph) return {};
  bool logits = loss.name == "bce_with_logits" || loss.name == "hinge";
  MetricOptions options{.class_axis = loss.class_axis,
                        .threshold = logits ? 0.0 : 0.5,
                        .independent = task.independent,
                        .allow_broadcast = loss.allow_broadcast,
                        .ignore_index = loss.ignore_index};
  if (!find_loss(loss.name).class_indices) return options;
  const Type& output = graph.value(find_output(graph, loss.output)).type;
  options.class_axis = class_axis_of(loss, output, &all.target_types.at(target));
  return options;
}

// What tells numbers from classes where the loss takes both.
bool is_no_bit(double v) { return v != 0 && v != 1; }

bool takes_classes(const std::string& loss) {
  return loss.starts_with("bce") || loss == "hinge" || find_loss(loss).class_indices;
}

// Leaves out, of several outputs, what has no meaning for this one; of one output that is an error.
void keep_meaningful(std::vector<std::string>& metrics, const LossOptions& loss,
                     const ModelData& data, size_t target, bool several) {
  if (loss.graph || loss.name == "kl" || loss.name == "cosine") return;
  const DataArray& array = data.set.arrays()[data.inputs.size() + target];
  bool indices = find_loss(loss.name).class_indices, numbers = !takes_classes(loss.name);
  std::vector<std::string> kept;
  for (const std::string& name : metrics) {
    bool compares = Metrics::compares_elements(name);
    std::optional<double> number;
    if (numbers && !compares) number = find_number(array.values, is_no_bit);
    if (!number && !(indices && compares)) {
      kept.push_back(name);
    } else if (!several && number) {
      fail(ErrorKind::Usage, "'{}' counts classes, but target '{}' holds {:.6g}", name, array.name,
           *number);
    } else if (!several) {
      fail(ErrorKind::Usage, "'{}' compares numbers, but loss '{}' has classes", name, loss.name);
    }
  }
  metrics = std::move(kept);
}

// The only output and the only target that a loss graph reads, if it does read one of each.
std::optional<std::pair<ValueId, std::string>> pair_of(const Graph& graph,
                                                       const LossOptions& loss) {
  TrainingOptions alone;
  alone.losses = {loss};
  std::vector<ValueId> outputs = loss_outputs(graph, alone);
  std::vector<LossInput> inputs = loss_inputs(graph, alone);
  if (outputs.size() != 1 || inputs.size() != 1) return std::nullopt;
  return std::pair(outputs[0], inputs[0].name);
}

}  // namespace

std::vector<std::string> MeasuringPlan::names() const {
  std::vector<std::string> all = losses;
  for (const MeasuredOutput& o : outputs) {
    for (const std::string& name : o.metrics) all.push_back(o.prefix + name);
  }
  return all;
}

MeasuringPlan measuring_plan(const Graph& graph, const LearningTask& task, const ModelData& data,
                             int64_t batch_size, std::vector<std::string> metrics) {
  TrainingOptions options = task.training_options();
  declare_targets(graph, options, target_dims(data, batch_size));
  for (size_t k = metrics.size(); k-- > 0;) {
    Metrics::check(metrics[k]);
    auto it = metrics.begin() + static_cast<std::ptrdiff_t>(k);
    if (std::count(metrics.begin(), it, *it) > 0) metrics.erase(it);
  }
  MeasuringPlan plan{.reduction = reduction_of(options.losses)};
  std::vector<ValueId> outputs = loss_outputs(graph, options);
  bool several = task.losses.size() > 1;
  for (size_t k = 0; k < task.losses.size(); ++k) {
    const LossOptions& loss = task.losses[k].chosen.loss;
    std::string prefix = several && !loss.graph ? loss.output + "_" : "";
    if (several) {
      std::string name = loss.graph ? fmt::format("graph{}_loss", k + 1) : prefix + "loss";
      auto& names = plan.losses;
      bool again = std::find(names.begin(), names.end(), name) != names.end();
      names.push_back(again ? fmt::format("{}{}", name, k + 1) : name);
    }
    if (metrics.empty()) continue;
    std::string target = target_name(options, k);
    ValueId output = no_value;
    if (auto pair = loss.graph ? pair_of(graph, loss) : std::nullopt) {
      std::tie(output, target) = *pair;
    } else if (!loss.graph) {
      output = find_output(graph, loss.output);
    }
    auto at = std::find(data.targets.begin(), data.targets.end(), target);
    if (output == no_value || at == data.targets.end()) continue;
    MeasuredOutput measured{
        static_cast<size_t>(std::find(outputs.begin(), outputs.end(), output) - outputs.begin()),
        static_cast<size_t>(at - data.targets.begin()), prefix, metrics,
        metric_options(graph, task.losses[k], options, target)};
    keep_meaningful(measured.metrics, loss, data, measured.target, several);
    // Of two losses of one output the first says what its classes are.
    bool known = std::any_of(plan.outputs.begin(), plan.outputs.end(), [&](const auto& other) {
      return other.output == measured.output && other.prefix == prefix;
    });
    if (!known) plan.outputs.push_back(std::move(measured));
  }
  if (!metrics.empty() && plan.outputs.empty()) {
    fail(ErrorKind::Usage, "metrics need a target");
  }
  for (const std::string& name : metrics) {
    bool measured = std::any_of(plan.outputs.begin(), plan.outputs.end(), [&](const auto& o) {
      return std::count(o.metrics.begin(), o.metrics.end(), name) > 0;
    });
    if (!measured) fail(ErrorKind::Usage, "'{}' has a meaning for none of the targets", name);
  }
  return plan;
}

std::vector<std::string> default_metrics(const LearningTask& task) {
  for (const LossTask& t : task.losses) {
    const LossOptions& loss = t.chosen.loss;
    if (loss.graph) return {};
    bool classes = loss.name.starts_with("bce") || find_loss(loss.name).class_indices;
    if (!classes) return {};
  }
  return {"accuracy"};
}

Measurement::Measurement(const MeasuringPlan& plan)
    : plan_(plan),
      names_(plan.names()),
      sum_(plan.reduction),
      terms_(plan.losses.size(), LossAverage(plan.reduction)) {
  for (const MeasuredOutput& o : plan_.outputs) metrics_.emplace_back(o.metrics, o.options);
}

void Measurement::clear() {
  sum_ = LossAverage(plan_.reduction);
  for (LossAverage& term : terms_) term = LossAverage(plan_.reduction);
  for (Metrics& metrics : metrics_) metrics.clear();
}

void Measurement::add_losses(const std::vector<double>& losses, int64_t samples) {
  for (size_t k = 0; k < terms_.size(); ++k) terms_[k].add(losses[k], samples);
}

std::vector<Measured> Measurement::results() const {
  std::vector<Measured> all;
  add_results("", all);
  return all;
}

void Measurement::add_results(const std::string& prefix, std::vector<Measured>& all) const {
  all.reserve(all.size() + names_.size());
  size_t name = 0;
  auto add = [&](double value) { all.emplace_back(prefix + names_[name++], value); };
  for (const LossAverage& term : terms_) add(term.value());
  for (size_t o = 0; o < metrics_.size(); ++o) {
    for (size_t k = 0; k < plan_.outputs[o].metrics.size(); ++k) add(metrics_[o].value(k));
  }
}

NamedTensors Measurement::state() const {
  SavedFit saved;
  std::vector<double> sums = {sum_.sum(), sum_.samples()};
  for (const LossAverage& term : terms_) {
    sums.push_back(term.sum());
    sums.push_back(term.samples());
  }
  saved.add("losses", sums);
  for (size_t k = 0; k < metrics_.size(); ++k) {
    saved.add(fmt::format("metrics{}", k), metrics_[k].state());
  }
  return saved.arrays();
}

void Measurement::set_state(const NamedTensors& state) {
  SavedFit saved(state);
  std::vector<double> sums = saved.doubles("losses", 2 + 2 * terms_.size());
  for (size_t k = 0; k < metrics_.size(); ++k) {
    metrics_[k].set_state(saved.group(fmt::format("metrics{}", k)));
  }
  sum_.set(sums[0], sums[1]);
  for (size_t k = 0; k < terms_.size(); ++k) terms_[k].set(sums[2 + 2 * k], sums[3 + 2 * k]);
}

}  // namespace onnxrun
