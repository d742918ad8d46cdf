#include "passes/fold.h"

#include <algorithm>

#include "base/error.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

int64_t result_bytes(const Graph& graph, const Node& node) {
  int64_t total = 0;
  for (ValueId v : node.outputs) {
    if (v == no_value) continue;
    const Type& t = graph.value(v).type;
    if (!t.is_concrete()) return INT64_MAX;
    int64_t bytes = bytes_of(t.dtype, element_count(to_dims(*t.shape)));
    total = bytes > INT64_MAX - total ? INT64_MAX : total + bytes;
  }
  return total;
}

// What Shape and arithmetic on it gave is known without running anything.
std::optional<Tensor> known_content(const Value& value) {
  if (!value.content || !value.type.is_concrete() || !all_known(*value.content) ||
      !dtypes::index.contains(value.type.dtype)) {
    return std::nullopt;
  }
  Dims elements = to_dims(*value.content);
  return convert(Tensor::of<int64_t>(to_dims(*value.type.shape), elements), value.type.dtype);
}

class Folder {
 public:
  Folder(Graph& graph, const FoldOptions& options) : graph_(graph), options_(options) {}

  void run() {
    std::vector<Node> kept;
    for (Node& node : graph_.nodes) {
      if (!fold(node)) kept.push_back(std::move(node));
    }
    graph_.nodes = std::move(kept);
  }

 private:
  bool fold(Node& node) {
    if (!node.bodies.empty() || !node.op->traits().deterministic) return false;
    if (node.outputs.size() == 1) {
      if (auto known = known_content(graph_.value(node.outputs[0]))) {
        keep(node.outputs[0], std::move(*known));
        return true;
      }
    }
    std::vector<const Tensor*> inputs;
    int64_t input_bytes = 0;
    for (ValueId v : node.inputs) {
      const Tensor* t = v == no_value ? nullptr : tensor_of(v);
      if (v != no_value && !t) return false;
      if (t) input_bytes += t->bytes();
      inputs.push_back(t);
    }
    if (result_bytes(graph_, node) > std::max(options_.max_bytes, 2 * input_bytes)) return false;
    try {
      std::vector<Tensor> results = evaluate(graph_, node, inputs);
      for (size_t i = 0; i < results.size(); ++i) {
        if (node.outputs[i] != no_value) keep(node.outputs[i], std::move(results[i]));
      }
    } catch (const Error&) {
      return false;
    }
    return true;
  }

  const Tensor* tensor_of(ValueId v) const {
    if (const Tensor* t = graph_.constant(v)) return t;
    if (!options_.fold_parameters) return nullptr;
    auto it = graph_.initializers.find(v);
    return it == graph_.initializers.end() ? nullptr : &it->second.value;
  }

  void keep(ValueId v, Tensor result) {
    graph_.value(v).type = Type::tensor(result.dtype(), to_shape(result.dims()));
    graph_.initializers[v] = {std::move(result), Role::Constant, "folded"};
  }

  Graph& graph_;
  const FoldOptions& options_;
};

}  // namespace

void fold_constants(Graph& graph, const FoldOptions& options) { Folder(graph, options).run(); }

std::vector<Tensor> evaluate(Graph& graph, Node& node, std::span<const Tensor* const> inputs) {
  std::vector<RuntimeValue> in(inputs.size()), out(node.outputs.size());
  std::vector<const RuntimeValue*> in_ptrs;
  std::vector<RuntimeValue*> out_ptrs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]) in[i] = *inputs[i];
    in_ptrs.push_back(inputs[i] ? &in[i] : nullptr);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    ValueId v = node.outputs[i];
    out_ptrs.push_back(v == no_value ? nullptr : &out[i]);
    if (v != no_value) {
      const Type& t = graph.value(v).type;
      out[i] = Tensor(t.dtype, to_dims(*t.shape));
    }
  }
  if (node.op->traits().view) {
    out[0] = in[0].tensor.view(out[0].tensor.dims());
  } else {
    PrepareContext prepare(in_ptrs, out_ptrs, {});
    std::unique_ptr<KernelState> state = node.op->prepare(prepare);
    Tensor scratch(DType::UInt8, {std::max<int64_t>(prepare.scratch(), 1)});
    RunControl control;
    RunContext context(in_ptrs, out_ptrs, state.get(), scratch.raw(), nullptr, &control);
    node.op->run(context);
  }
  std::vector<Tensor> results;
  for (RuntimeValue& v : out) results.push_back(std::move(v.tensor));
  return results;
}

}  // namespace onnxrun
