#include "node_records.h"

namespace onnxrun {

Execution::Observer record_nodes(std::function<void(const Session::NodeRecord&)> observer,
                                 std::function<const BoundPlan*()> plan) {
  return [observer = std::move(observer), plan = std::move(plan)](
             const Node& node, std::span<const RuntimeValue* const> inputs,
             std::span<const RuntimeValue* const> outputs, double seconds) {
    Session::NodeRecord record{node.info->spec.name,
                               node.name,
                               {},
                               {},
                               {inputs.begin(), inputs.end()},
                               {outputs.begin(), outputs.end()},
                               seconds};
    const Graph& graph = plan()->graph();
    for (ValueId v : node.inputs) record.input_names.push_back(graph.name_of(v));
    for (ValueId v : node.outputs) record.output_names.push_back(graph.name_of(v));
    observer(record);
  };
}

}  // namespace onnxrun
