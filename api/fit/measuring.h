// Losses and metrics of the samples of a data set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fit/learning_task.h"
#include "onnxrun/evaluate.h"
#include "training/loss_average.h"
#include "training/metrics.h"

namespace onnxrun {

// What is measured of one output: `output` and `target` are positions among those of the losses.
struct MeasuredOutput {
  size_t output = 0, target = 0;
  std::string prefix;  // of the names: "a_" where there are several
  std::vector<std::string> metrics;
  MetricOptions options;
};

// Decided once for all measurements of a task.
struct MeasuringPlan {
  std::vector<MeasuredOutput> outputs;  // none if there is nothing to measure
  std::vector<std::string> losses;      // names of the losses beside their sum
  Reduction reduction = Reduction::Mean;

  std::vector<std::string> names() const;
};

// Metrics take for classes what the losses take for them. Of several outputs each is measured by
// those of the metrics that its target has a meaning for. Throws Usage for metrics without a
// target, for names that there are not, and for metrics that no target has a meaning for.
MeasuringPlan measuring_plan(const Graph& graph, const LearningTask& task, const ModelData& data,
                             int64_t batch_size, std::vector<std::string> metrics);

// Where no metrics are asked for: accuracy, if the target holds classes.
std::vector<std::string> default_metrics(const LearningTask& task);

// Collects batches; values of means are weighted by their samples.
class Measurement {
 public:
  explicit Measurement(const MeasuringPlan& plan);

  // `outputs` are called only if something is measured of them: outputs(k) is what loss_outputs()
  // number k gave, losses() each loss.
  template <typename Outputs, typename Losses>
  void add(double loss, int64_t samples, std::span<const Tensor> targets, Outputs&& outputs,
           Losses&& losses) {
    sum_.add(loss, samples);
    if (!terms_.empty()) add_losses(losses(), samples);
    for (size_t k = 0; k < plan_.outputs.size(); ++k) {
      metrics_[k].add(outputs(plan_.outputs[k].output), targets[plan_.outputs[k].target]);
    }
  }

  // Forgets what was collected.
  void clear();

  double loss() const { return sum_.value(); }
  // What MeasuringPlan::names() names.
  std::vector<Measured> results() const;
  // The same behind what `all` has, each name after `prefix`.
  void add_results(const std::string& prefix, std::vector<Measured>& all) const;

  // What has been collected, to go on with elsewhere.
  NamedTensors state() const;
  void set_state(const NamedTensors& state);

 private:
  void add_losses(const std::vector<double>& losses, int64_t samples);

  MeasuringPlan plan_;
  std::vector<std::string> names_;
  LossAverage sum_;
  std::vector<LossAverage> terms_;
  std::vector<Metrics> metrics_;
};

}  // namespace onnxrun
