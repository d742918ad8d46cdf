#include "fit/learning_task.h"

#include <algorithm>
#include <set>

#include "array_files.h"
#include "base/error.h"
#include "base/name_list.h"
#include "fit/sample_shape.h"
#include "fit/stored_preparation.h"
#include "fit/target_checks.h"
#include "fit/target_reading.h"
#include "training/loss_sum.h"

namespace onnxrun {

namespace {

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

class Chooser {
 public:
  Chooser(const Graph& graph, const NamedTensors& arrays, const FeedOptions& feed,
          std::vector<LossOptions> losses, bool learns)
      : graph_(graph), arrays_(arrays), feed_(feed), asked_(std::move(losses)), learns_(learns) {}

  LearningTask run() {
    for (const std::string& text : feed_.targets) read_target_option(text);
    one_loss_for_each_target();
    for (const LossOptions& loss : asked_) choose(loss);
    task_.sample_weights = !feed_.sample_weights.empty();
    collect_targets();
    if (!keys_.empty()) {
      const auto& [name, key] = *keys_.begin();
      fail(ErrorKind::Usage, "no loss reads the target '{}{}{}'", name, name.empty() ? "" : "=",
           key);
    }
    return std::move(task_);
  }

 private:
  // What one loss compares its output with.
  struct Target {
    std::string key;
    int64_t samples_axis = 0;
    std::optional<TargetReading> reading = {};
  };

  void read_target_option(const std::string& text) {
    auto [name, key] = split_output(graph_, text);
    for (const LossOptions& loss : asked_) {
      if (!loss.graph || !name.empty()) continue;
      size_t equals = text.find('=');
      if (equals == std::string::npos) continue;
      ValueId v = loss.graph->find(text.substr(0, equals));
      if (v == no_value) continue;
      name = text.substr(0, equals);
      key = text.substr(equals + 1);
    }
    if (!keys_.emplace(name, key).second) {
      fail(ErrorKind::Usage, "two targets are given: '{}' and '{}'", keys_[name], key);
    }
  }

  // Where no array is called as targets are, those called as several of the outputs are.
  void take_arrays_of_outputs() {
    for (const char* name : {"target", "y", "label"}) {
      if (find_array(arrays_, name)) return;
    }
    for (ValueId v : graph_.outputs) {
      const std::string& name = graph_.name_of(v);
      bool feeds_input = std::any_of(graph_.inputs.begin(), graph_.inputs.end(),
                                     [&](ValueId i) { return graph_.name_of(i) == name; });
      if (!feeds_input && find_array(arrays_, name)) keys_.emplace(name, name);
    }
  }

  void one_loss_for_each_target() {
    bool unsaid = asked_.size() == 1 && asked_[0].name.empty() && asked_[0].output.empty() &&
                  !asked_[0].graph;
    if (unsaid && keys_.empty() && feed_.targets.empty()) take_arrays_of_outputs();
    if (!unsaid || keys_.size() < 2) return;
    LossOptions loss = asked_[0];
    asked_.clear();
    for (ValueId v : graph_.outputs) {
      loss.output = graph_.name_of(v);
      if (keys_.count(loss.output) > 0) asked_.push_back(loss);
    }
  }

  // Whether all targets are those of one output, whatever the number of losses.
  bool of_one_output() const {
    std::set<ValueId> outputs;
    for (const LossOptions& loss : asked_) {
      if (!loss.graph && loss.name != "output") outputs.insert(find_output(graph_, loss.output));
    }
    return outputs.size() == 1;
  }

  void choose(LossOptions loss) {
    if (loss.graph) {
      task_.losses.push_back({{loss, false, ""}});
      return found_.push_back(std::nullopt);
    }
    bool alone = asked_.size() == 1;
    if (alone && keys_.size() == 1 && !keys_.begin()->first.empty()) {
      const std::string& of = keys_.begin()->first;
      if (!loss.output.empty() && loss.output != of) {
        fail(ErrorKind::Usage, "loss reads output '{}', but the target is for '{}'", loss.output,
             of);
      }
      loss.output = of;
    }
    loss.output = graph_.name_of(find_output(graph_, loss.output));
    std::optional<std::string> key = target_of(loss, alone);
    Tensor values;
    if (key) values = target_array(arrays_, *key, feed_.max_memory);
    ClassNames classes;
    if (values.defined() && values.dtype() == DType::String) {
      classes = classes_of(loss, *key, values);
      values = class_indices(*key, values, classes);
    }
    const Tensor stored = values;
    std::optional<Target> target;
    if (key) target = read(loss, *key, values);
    bool is_unnamed = loss.name.empty();
    bool one_of_two = target && target->reading && !classes.empty() &&
                      target->reading->kind == TargetReading::Kind::Numbers;
    if (one_of_two) loss = loss_of_two(loss, *key, classes);
    if (target && target->reading) {
      // Element types do not tell numbers from classes where shapes and values do.
      bool numbers = target->reading->kind == TargetReading::Kind::Numbers;
      values = Tensor(numbers ? DType::Float64 : DType::Int64, {});
    }
    LossTask chosen{choose_loss(graph_, loss, values)};
    chosen.chosen.by_default = is_unnamed;
    chosen.classes = std::move(classes);
    if (target && target->reading) settle(chosen, *target->reading);
    if (!chosen.classes.empty()) check_count(chosen, *key);
    if (target) check_targets(graph_, chosen.chosen.loss, *key, stored, target->reading);
    task_.losses.push_back(std::move(chosen));
    found_.push_back(std::move(target));
  }

  ClassNames classes_of(const LossOptions& loss, const std::string& key, const Tensor& labels) {
    Preparation stored = stored_preparation(graph_);
    auto it = stored.classes.find(loss.output);
    bool known = it != stored.classes.end() && (!learns_ || are_known(labels, it->second));
    return known ? it->second : names_of_labels(key, labels);
  }

  // An output of one number tells one class from another.
  LossOptions loss_of_two(LossOptions loss, const std::string& key,
                          const ClassNames& classes) const {
    if (classes.size() > 2) {
      fail(ErrorKind::BadInput, "target '{}' names {} classes ({}), but output '{}' is {}", key,
           classes.size(), class_list(classes), loss.output,
           graph_.value(find_output(graph_, loss.output)).type.to_string());
    }
    if (!loss.name.empty()) return loss;
    loss.name = choose_loss(graph_, loss, Tensor(DType::Float64, {})).loss.name;
    if (loss.name == "mse") loss.name = "bce_with_logits";
    return loss;
  }

  std::optional<std::string> target_of(const LossOptions& loss, bool alone) {
    if (loss.name == "output") return std::nullopt;
    for (const std::string& name : {loss.output, std::string()}) {
      auto it = keys_.find(name);
      if (it == keys_.end() || (name.empty() && !of_one_output())) continue;
      std::string key = it->second;
      used_.push_back(name);
      return key;
    }
    bool feeds_input = std::any_of(graph_.inputs.begin(), graph_.inputs.end(),
                                   [&](ValueId v) { return graph_.name_of(v) == loss.output; });
    if (!alone && !feeds_input && find_array(arrays_, loss.output)) return loss.output;
    if (!of_one_output()) {
      std::vector<std::string> names;
      for (const NamedTensor& a : arrays_) names.push_back(a.name);
      fail(ErrorKind::BadInput,
           "the data have no array '{}' as the target of that output; they have {} (--target "
           "{}=KEY chooses one)",
           loss.output, name_list(names), loss.output);
    }
    try {
      return target_key(graph_, arrays_, feed_);
    } catch (const Error&) {
      if (!feeds_input && find_array(arrays_, loss.output)) return loss.output;
      bool brings_loss = loss.name.empty() && !graph_.outputs.empty() &&
                         graph_.value(graph_.outputs[0]).type.rank() == 0;
      if (!brings_loss) throw;
      return std::nullopt;
    }
  }

  Target read(const LossOptions& loss, const std::string& key, const Tensor& values) const {
    const Type& type = graph_.value(find_output(graph_, loss.output)).type;
    Target target{key, named_batch_axis(type).value_or(0)};
    bool is_axis_given = false;
    for (const std::string& name : {std::string("target"), key}) {
      auto it = feed_.batch_axes.find(name);
      if (it == feed_.batch_axes.end()) continue;
      target.samples_axis = it->second;
      is_axis_given = true;
    }
    int64_t& axis = target.samples_axis;
    if (axis < 0 || axis >= values.rank()) axis = 0;
    bool readable = values.dtype() != DType::String && !is_complex(values.dtype());
    if (readable && !feed_.prebatched && (is_axis_given || feed_.batch_axes.empty())) {
      target.reading = read_target(type, values, axis);
    }
    return target;
  }

  void settle(LossTask& task, const TargetReading& reading) const {
    LossOptions& loss = task.chosen.loss;
    bool classes = find_loss(loss.name).class_indices;
    const Type& output = graph_.value(find_output(graph_, loss.output)).type;
    if (classes && !loss.class_axis && output.rank() > 2) loss.class_axis = reading.class_axis;
    // Samples of several classes, or of none.
    task.independent = !classes && !reading.axis && loss.name.starts_with("bce");
  }

  void check_count(const LossTask& task, const std::string& key) const {
    const LossOptions& loss = task.chosen.loss;
    const Type& output = graph_.value(find_output(graph_, loss.output)).type;
    if (!find_loss(loss.name).class_indices || output.rank() < 1) return;
    int64_t axis = loss.class_axis.value_or(output.rank() > 1 ? 1 : 0);
    if (axis < 0 || axis >= output.rank()) return;
    const Dim& there = (*output.shape)[static_cast<size_t>(axis)];
    if (!there.is_known() || there.value() >= static_cast<int64_t>(task.classes.size())) return;
    fail(ErrorKind::BadInput, "target '{}' names {} classes ({}), but output '{}' is {}", key,
         task.classes.size(), class_list(task.classes), loss.output, output.to_string());
  }

  void collect_targets() {
    TrainingOptions options = task_.training_options();
    std::vector<LossInput> inputs = loss_inputs(graph_, options);
    for (const LossInput& input : inputs) {
      FeedTarget target{input.name, input.name, input.type.dtype};
      bool is_weights = task_.sample_weights && &input == &inputs.back();
      if (is_weights) target.key = feed_.sample_weights;
      auto it = keys_.find(input.name);
      if (it != keys_.end()) {
        target.key = it->second;
        used_.push_back(input.name);
      }
      for (size_t k = 0; k < task_.losses.size(); ++k) {
        if (found_[k] && target_name(options, k) == input.name) take(target, k);
      }
      task_.targets.push_back(std::move(target));
    }
    for (const std::string& name : used_) keys_.erase(name);
  }

  void take(FeedTarget& target, size_t k) const {
    target.key = found_[k]->key;
    target.classes = task_.losses[k].classes;
    if (!found_[k]->reading) return;
    if (found_[k]->samples_axis > 0) target.batch_axis = found_[k]->samples_axis;
    if (find_loss(task_.losses[k].chosen.loss.name).class_indices) {
      target.one_hot_axis = found_[k]->reading->axis;
    }
  }

  const Graph& graph_;
  const NamedTensors& arrays_;
  const FeedOptions& feed_;
  std::vector<LossOptions> asked_;
  bool learns_;
  std::map<std::string, std::string> keys_;  // by output; "" of the only loss
  std::vector<std::string> used_;
  std::vector<std::optional<Target>> found_;  // of each loss
  LearningTask task_;
};

}  // namespace

std::vector<LossOptions> LearningTask::loss_options() const {
  std::vector<LossOptions> all;
  for (const LossTask& task : losses) all.push_back(task.chosen.loss);
  return all;
}

TrainingOptions LearningTask::training_options() const {
  TrainingOptions options;
  options.losses = loss_options();
  options.sample_weights = sample_weights;
  return options;
}

LearningTask choose_task(const Graph& graph, const NamedTensors& arrays, const FeedOptions& feed,
                         std::vector<LossOptions> losses, bool learns) {
  return Chooser(graph, arrays, feed, std::move(losses), learns).run();
}

std::map<std::string, Dims> target_dims(const ModelData& data, int64_t batch_size) {
  std::map<std::string, Dims> all;
  for (size_t k = 0; k < data.targets.size(); ++k) {
    size_t at = data.inputs.size() + k;
    Dims dims = data.set.batch_dims(at, batch_size);
    const DataArray& target = data.set.arrays()[at];
    bool has_batch_axis = !data.set.prebatched() && dims.size() == target.values.dims().size();
    if (has_batch_axis) dims[static_cast<size_t>(target.batch_axis)] = -1;
    all.emplace(data.targets[k], std::move(dims));
  }
  return all;
}

void describe(TaskSummary& summary, const LearningTask& task, const ModelData& data,
              int64_t batch_size) {
  std::vector<std::string> names, outputs;
  for (const LossTask& t : task.losses) {
    const LossOptions& loss = t.chosen.loss;
    std::string factor = loss.weight == 1 ? "" : fmt::format("{} ", loss.weight);
    names.push_back(factor + (loss.graph ? "a graph" : loss.name));
    if (!loss.graph) outputs.push_back(loss.output);
    summary.is_loss_chosen = summary.is_loss_chosen || t.chosen.by_default;
    if (!t.classes.empty()) {
      summary.notes.push_back(fmt::format("classes: {}", class_list(t.classes)));
      if (&t == &task.losses.front()) summary.classes = t.classes;
    }
    if (!t.chosen.warning.empty()) summary.warnings.push_back(t.chosen.warning);
  }
  summary.loss = joined(names);
  summary.output = joined(outputs);
  summary.notes.insert(summary.notes.end(), data.notes.begin(), data.notes.end());
  summary.warnings.insert(summary.warnings.end(), data.warnings.begin(), data.warnings.end());
  summary.samples = data.set.samples();
  summary.batch_size = batch_size;
}

}  // namespace onnxrun
