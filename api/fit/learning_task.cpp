#include "fit/learning_task.h"

#include "base/error.h"
#include "fit/sample_shape.h"
#include "fit/target_reading.h"
#include "training/loss.h"
#include "training/training_graph.h"

namespace onnxrun {

static std::optional<std::string> find_target(const Graph& graph, const NamedTensors& arrays,
                                              const FeedOptions& feed, const LossChoice& loss) {
  if (is_own_output(loss)) return std::nullopt;
  try {
    return target_key(graph, arrays, feed);
  } catch (const Error&) {
    bool brings_loss = loss.loss.empty() && !graph.outputs.empty() &&
                       graph.value(graph.outputs[0]).type.rank() == 0;
    if (!brings_loss) throw;
    return std::nullopt;
  }
}

LearningTask choose_task(const Graph& graph, const NamedTensors& arrays, const FeedOptions& feed,
                         const LossChoice& loss) {
  FeedOptions options = feed;
  std::string output;
  std::tie(output, options.target) = split_output(graph, feed.target);
  std::optional<std::string> key = find_target(graph, arrays, options, loss);
  Tensor values;
  if (key) values = target_array(arrays, *key, feed.max_memory);
  std::string read_output = output;
  if (read_output.empty()) read_output = split_output(graph, loss.loss).first;
  const Type& type = graph.value(find_output(graph, read_output)).type;
  int64_t samples_axis = named_batch_axis(type).value_or(0);
  bool is_axis_given = false;
  for (const std::string& name : {std::string("target"), key.value_or("target")}) {
    auto it = feed.batch_axes.find(name);
    if (it == feed.batch_axes.end()) continue;
    samples_axis = it->second;
    is_axis_given = true;
  }
  if (samples_axis < 0 || samples_axis >= values.rank()) samples_axis = 0;
  // Element types do not tell numbers from classes where shapes and values do.
  std::optional<TargetReading> reading;
  bool readable =
      values.defined() && values.dtype() != DType::String && !is_complex(values.dtype());
  if (readable && !feed.prebatched && (is_axis_given || feed.batch_axes.empty())) {
    reading = read_target(type, values, samples_axis);
    bool numbers = reading->kind == TargetReading::Kind::Numbers;
    values = Tensor(numbers ? DType::Float64 : DType::Int64, {});
  }
  LearningTask task{.loss = choose_loss(graph, loss, output, values)};
  task.class_axis = loss.class_axis;
  if (!key) return task;
  const Type& chosen = graph.value(find_output(graph, task.loss.output)).type;
  task.target = FeedTarget{*key, target_type({task.loss.name, {}, {}}, chosen).dtype};
  if (!reading) return task;
  if (samples_axis > 0) task.target->batch_axis = samples_axis;
  bool classes = find_loss(task.loss.name).class_indices;
  if (classes) task.target->one_hot_axis = reading->axis;
  if (classes && !task.class_axis && chosen.rank() > 2) task.class_axis = reading->class_axis;
  // Samples of several classes, or of none.
  task.independent = !classes && !reading->axis && task.loss.name.starts_with("bce");
  return task;
}

std::optional<Dims> target_dims(const ModelData& data, int64_t batch_size) {
  if (!data.has_target) return std::nullopt;
  size_t at = data.set.arrays().size() - 1;
  Dims dims = data.set.batch_dims(at, batch_size);
  const DataArray& target = data.set.arrays()[at];
  bool has_batch_axis = !data.set.prebatched() && dims.size() == target.values.dims().size();
  if (has_batch_axis) dims[static_cast<size_t>(target.batch_axis)] = -1;
  return dims;
}

}  // namespace onnxrun
