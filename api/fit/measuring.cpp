#include "fit/measuring.h"

namespace onnxrun {

LossOptions loss_options(const LearningTask& task, const LossChoice& choice) {
  return {task.loss.name,         choice.chosen_reduction(), task.class_axis,
          choice.allow_broadcast, choice.class_weights,      choice.ignore_index,
          choice.label_smoothing};
}

TrainingOptions training_options(const Graph& graph, const LearningTask& task,
                                 const LossChoice& choice, const ModelData& data,
                                 int64_t batch_size) {
  TrainingOptions options;
  options.output = task.loss.output;
  options.loss = loss_options(task, choice);
  if (auto dims = target_dims(data, batch_size)) {
    options.target = declared_target_type(graph, options, *dims);
  }
  return options;
}

MetricOptions metric_options(const Graph& graph, const LearningTask& task, const LossChoice& choice,
                             const ModelData& data, int64_t batch_size) {
  bool logits = task.loss.name == "bce_with_logits" || task.loss.name == "hinge";
  MetricOptions options{.class_axis = task.class_axis,
                        .threshold = logits ? 0.0 : 0.5,
                        .independent = task.independent,
                        .allow_broadcast = choice.allow_broadcast,
                        .ignore_index = choice.ignore_index};
  if (data.has_target && find_loss(task.loss.name).class_indices) {
    TrainingOptions training = training_options(graph, task, choice, data, batch_size);
    const Type& output = graph.value(find_output(graph, training.output)).type;
    options.class_axis = class_axis_of(training.loss, output, &*training.target);
  }
  return options;
}

}  // namespace onnxrun
