#include "onnxrun/evaluate.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "fit/learning_task.h"
#include "fit/measuring.h"
#include "passes/widen.h"
#include "training/loss_sum.h"

namespace onnxrun {

namespace {

Graph graph_for(const Model& model, bool widen) {
  Graph graph = model.graph();
  if (widen) widen_to_double(graph);
  return graph;
}

std::vector<LossOptions> losses_of(const EvaluationOptions& o) {
  std::vector<LossOptions> losses = {o.loss};
  losses.insert(losses.end(), o.more_losses.begin(), o.more_losses.end());
  return losses;
}

}  // namespace

struct Evaluator::Impl {
  Impl(const Model& model, const NamedTensors& arrays, EvaluationOptions o)
      : options(std::move(o)),
        graph(graph_for(model, options.double_precision)),
        task(choose_task(graph, arrays, options.feed, losses_of(options))),
        data(make_model_data(graph, arrays, options.feed, task.targets)),
        batch_size(batch_size_for(graph, data, options.feed)),
        plan(measuring_plan(graph, task, data, batch_size,
                            options.metrics ? *options.metrics : default_metrics(task))),
        session(with_losses(), options.session) {
    describe(summary, task, data, batch_size);
    summary.metrics = plan.names();
    if (!options.confusion) return;
    // Of the first output that has classes, whatever else is measured.
    MeasuringPlan classes = measuring_plan(graph, task, data, batch_size, {"accuracy"});
    auto counted = std::find_if(classes.outputs.begin(), classes.outputs.end(),
                                [](const MeasuredOutput& m) { return !m.metrics.empty(); });
    if (counted != classes.outputs.end()) confused = *counted;
  }

  Model with_losses() {
    TrainingOptions training = task.training_options();
    declare_targets(graph, training, target_dims(data, batch_size));
    auto evaluation = std::make_shared<Graph>(make_evaluation_graph(graph, training, {}));
    for (size_t k = graph.inputs.size(); k < evaluation->inputs.size(); ++k) {
      targets.push_back(evaluation->name_of(evaluation->inputs[k]));
    }
    outputs = loss_outputs(graph, training).size();
    return Model(std::move(evaluation));
  }

  Evaluation run() {
    Batches batches(data.set, {.batch_size = batch_size, .shuffle = false});
    Measurement measured(plan);
    std::optional<Metrics> confusion;
    if (confused) confusion.emplace(std::vector<std::string>(), confused->options);
    for (int64_t k = 0; k < batches.count(); ++k) {
      if (cancelled.exchange(false)) fail(ErrorKind::Cancelled, "cancelled");
      std::span<const Tensor> tensors = batches.batch(k);
      NamedValues feeds = data.feeds(tensors);
      for (size_t t = 0; t < targets.size(); ++t) feeds[data.inputs.size() + t].first = targets[t];
      NamedValues results = session.run(feeds);
      std::span<const Tensor> given = tensors.subspan(data.inputs.size());
      measured.add(
          to_doubles(results[0].second.tensor)[0], batches.size_of(k), given,
          [&](size_t output) { return results[1 + output].second.tensor; },
          [&] { return losses(results); });
      if (confusion) {
        confusion->add(results[1 + confused->output].second.tensor, given[confused->target]);
      }
    }
    Evaluation result{measured.loss(), measured.results(), {}};
    if (confusion) result.confusion = confusion_of(*confusion);
    return result;
  }

  std::vector<double> losses(const NamedValues& results) const {
    std::vector<double> values;
    for (size_t k = 1 + outputs; k < results.size(); ++k) {
      values.push_back(to_doubles(results[k].second.tensor)[0]);
    }
    return values;
  }

  Tensor confusion_of(const Metrics& metrics) const {
    int64_t n = metrics.class_count();
    if (n > 0 && n > options.session.max_memory / 8 / n) {
      fail(ErrorKind::Limit, "a table of {} classes needs more than the {} bytes allowed", n,
           options.session.max_memory);
    }
    return metrics.confusion();
  }

  EvaluationOptions options;
  Graph graph;
  LearningTask task;
  ModelData data;
  int64_t batch_size;
  MeasuringPlan plan;
  std::vector<std::string> targets;  // their names in the session
  size_t outputs = 0;                // that losses read
  Session session;
  std::optional<MeasuredOutput> confused;
  TaskSummary summary;
  std::atomic<bool> cancelled = false;
};

Evaluator::Evaluator(const Model& model, const NamedTensors& data, EvaluationOptions options)
    : impl_(std::make_unique<Impl>(model, data, std::move(options))) {}
Evaluator::~Evaluator() = default;
Evaluator::Evaluator(Evaluator&&) noexcept = default;
Evaluator& Evaluator::operator=(Evaluator&&) noexcept = default;

const TaskSummary& Evaluator::summary() const { return impl_->summary; }
Evaluation Evaluator::run() { return impl_->run(); }

void Evaluator::cancel() {
  impl_->cancelled = true;
  impl_->session.cancel();
}

Evaluation evaluate(const Model& model, const NamedTensors& data, EvaluationOptions options) {
  return Evaluator(model, data, std::move(options)).run();
}

}  // namespace onnxrun
