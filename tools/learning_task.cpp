#include "learning_task.h"

#include "base/error.h"
#include "training/loss.h"
#include "training/training_graph.h"

namespace onnxrun::tool {

static std::optional<std::string> find_target(const Graph& graph, const NamedTensors& arrays,
                                              const DataOptions& data, const LossChoice& loss) {
  if (is_own_output(loss)) return std::nullopt;
  try {
    return target_key(graph, arrays, data);
  } catch (const Error&) {
    bool brings_loss = loss.loss.empty() && !graph.outputs.empty() &&
                       graph.value(graph.outputs[0]).type.rank() == 0;
    if (!brings_loss) throw;
    return std::nullopt;
  }
}

LearningTask choose_task(const Graph& graph, const NamedTensors& arrays, const DataOptions& data,
                         const LossChoice& loss, int64_t max_memory) {
  DataOptions options = data;
  std::string output;
  std::tie(output, options.target) = split_output(graph, data.target);
  std::optional<std::string> key = find_target(graph, arrays, options, loss);
  Tensor values;
  if (key) values = target_array(arrays, *key, max_memory);
  LearningTask task{.loss = choose_loss(graph, loss, output, values)};
  if (key) {
    const Type& type = graph.value(find_output(graph, task.loss.output)).type;
    task.target = FeedTarget{*key, target_type({task.loss.name, {}, {}}, type).dtype};
  }
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

}  // namespace onnxrun::tool
