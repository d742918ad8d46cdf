#include "onnxrun/gradients.h"

#include <memory>

#include "base/error.h"
#include "graph/builder.h"
#include "graph/graph.h"
#include "passes/dead_nodes.h"
#include "passes/gradient.h"
#include "passes/widen.h"

namespace onnxrun {

namespace {

ValueId find_float(const Graph& graph, const std::string& name) {
  ValueId v = name.empty() ? no_value : graph.find(name);
  if (v == no_value) fail(ErrorKind::BadInput, "the model has no value '{}'", name);
  const Type& type = graph.value(v).type;
  if (!type.is_tensor() || !is_differentiable(type.dtype)) {
    fail(ErrorKind::BadInput, "'{}' is {}, which has no gradient", name, type.to_string());
  }
  return v;
}

}  // namespace

Model gradient_model(const Model& model, const std::vector<std::string>& of,
                     const std::vector<std::string>& wrt, bool cotangents, bool double_precision) {
  Graph graph = model.graph();
  if (double_precision) widen_to_double(graph);
  GraphBuilder b(graph, "gradient/");
  std::vector<Seed> seeds;
  for (const std::string& name : of) {
    ValueId v = find_float(graph, name);
    ValueId cotangent =
        cotangents ? graph.add_input(graph.unique_name(name + "::cotangent"), graph.value(v).type)
                   : b.add("Expand", {b.scalar_like(1, v), b.shape_of(v)});
    seeds.push_back({v, cotangent});
  }
  std::vector<ValueId> values;
  for (const std::string& name : wrt) values.push_back(find_float(graph, name));
  std::vector<ValueId> gradients = gradient(graph, seeds, values);
  graph.outputs.clear();
  for (size_t k = 0; k < wrt.size(); ++k) {
    ValueId v = b.add("Identity", {gradients[k]});
    graph.value(v).name = graph.unique_name(wrt[k] + "::gradient");
    graph.outputs.push_back(v);
  }
  remove_dead_nodes(graph);
  std::vector<int> uses = graph.use_counts();
  std::erase_if(graph.inputs, [&](ValueId v) { return uses[static_cast<size_t>(v)] == 0; });
  return Model(std::make_shared<Graph>(std::move(graph)));
}

}  // namespace onnxrun
