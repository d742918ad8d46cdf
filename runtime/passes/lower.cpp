#include "passes/lower.h"

#include <set>

#include "passes/dead_nodes.h"
#include "passes/fold.h"
#include "passes/fuse/channel_maps.h"
#include "passes/fuse/elementwise.h"
#include "passes/fuse/limits.h"
#include "passes/fuse/parts.h"
#include "passes/fuse/quantized.h"
#include "passes/fuse/relu_gradients.h"
#include "passes/fuse/transpositions.h"
#include "passes/layout.h"
#include "passes/remove_noops.h"

namespace onnxrun {

namespace {

// Nothing trains a machine graph and nobody feeds its initializers: they are constants of the very
// type that they hold.
void freeze(Graph& graph) {
  for (auto& [id, init] : graph.initializers) {
    init.role = Role::Constant;
    graph.value(id).type = Type::tensor(init.value.dtype(), to_shape(init.value.dims()));
  }
  graph.overridable.clear();
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) freeze(body);
  }
}

// `left` is what results may still take.
void fold_all(Graph& graph, int64_t& left) {
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) fold_all(body, left);
  }
  left -= fold_constants(graph, {.fold_parameters = true, .max_added = left});
}

void collect_buffers(const Graph& graph, std::set<const void*>& buffers) {
  for (const auto& [id, init] : graph.initializers) buffers.insert(init.value.raw());
  for (const Node& node : graph.nodes) {
    for (const Graph& body : node.bodies) collect_buffers(body, buffers);
  }
}

// Bytes of initializers that are not among `known`, each buffer once.
int64_t bytes_beside(const Graph& graph, std::set<const void*>& known) {
  int64_t bytes = 0;
  for (const auto& [id, init] : graph.initializers) {
    if (known.insert(init.value.raw()).second) bytes += init.value.bytes();
  }
  for (const Node& node : graph.nodes) {
    for (const Graph& body : node.bodies) bytes += bytes_beside(body, known);
  }
  return bytes;
}

}  // namespace

std::vector<Pass> portable_passes() {
  return {{"fold", [](Graph& g) { fold_constants(g); }},
          {"dead-nodes", [](Graph& g) { remove_dead_nodes(g, true); }}};
}

std::shared_ptr<const MachineGraph> lower(Graph graph, const LowerOptions& options) {
  std::shared_ptr<MachineGraph> machine(new MachineGraph(std::move(graph)));
  Graph& lowered = machine->graph_;
  if (!options.optimize) return machine;
  std::set<const void*> known;
  collect_buffers(lowered, known);
  int64_t left = options.max_memory;
  const Pass passes[] = {
      {"freeze", freeze},
      {"infer", [](Graph& g) { infer(g); }},
      {"fuse-quantized", fuse_quantized},
      {"fold", [&](Graph& g) { fold_all(g, left); }},
      {"noops", remove_noops},
      {"fuse-transpositions", fuse_transpositions},
      {"fuse-channels", [&](Graph& g) { left -= fuse_channel_maps(g, left); }},
      {"fuse-relu-gradients", fuse_relu_gradients},
      {"dead-nodes", [](Graph& g) { remove_dead_nodes(g); }},
      {"fuse-limits", fuse_limits},
      {"fuse-parts", fuse_parts},
      {"fuse-elementwise", fuse_elementwise},
      {"layout", lay_channels_last},
  };
  machine->records_ = run_passes(lowered, passes, options.passes);
  machine->added_bytes_ = bytes_beside(lowered, known);
  return machine;
}

}  // namespace onnxrun
