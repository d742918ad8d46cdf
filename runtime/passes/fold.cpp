#include "passes/fold.h"

#include <algorithm>

#include "base/error.h"
#include "base/work.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

int64_t saturated_sum(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

// The elements and what strings among them hold outside.
int64_t bytes_with_text(const Tensor& t) {
  if (t.dtype() != DType::String) return t.bytes();
  int64_t total = 0;
  for (const std::string& s : t.span<std::string>()) {
    total += static_cast<int64_t>(sizeof(std::string) + s.capacity());
  }
  return total;
}

size_t longest_text(std::span<const Tensor* const> inputs) {
  size_t longest = 0;
  for (const Tensor* t : inputs) {
    if (!t || t->dtype() != DType::String) continue;
    for (const std::string& s : t->span<std::string>()) longest = std::max(longest, s.size());
  }
  return longest;
}

// Most operators copy strings, so that none of a result is longer than the longest there is; one
// that joins them asks for what it needs itself.
int64_t result_bytes(const Graph& graph, const Node& node, std::span<const Tensor* const> inputs) {
  int64_t total = 0;
  for (ValueId v : node.outputs) {
    if (v == no_value) continue;
    const Type& t = graph.value(v).type;
    if (!t.is_concrete()) return INT64_MAX;
    int64_t count = element_count(to_dims(*t.shape)), bytes = bytes_of(t.dtype, count);
    if (t.dtype == DType::String) {
      auto each = static_cast<int64_t>(sizeof(std::string) + longest_text(inputs));
      bytes = count > INT64_MAX / each ? INT64_MAX : count * each;
    }
    total = saturated_sum(total, bytes);
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

  int64_t run() {
    allowed_ = options_.max_total;
    for (const auto& [id, init] : graph_.initializers) {
      int64_t bytes = bytes_with_text(init.value);
      allowed_ = saturated_sum(allowed_, saturated_sum(bytes, bytes));
    }
    allowed_ = std::min(allowed_, options_.max_added);
    std::vector<Node> kept;
    for (Node& node : graph_.nodes) {
      check_work();
      if (!fold(node)) kept.push_back(std::move(node));
    }
    graph_.nodes = std::move(kept);
    return total_;
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
      if (t) input_bytes = saturated_sum(input_bytes, bytes_with_text(*t));
      inputs.push_back(t);
    }
    int64_t bytes = result_bytes(graph_, node, inputs);
    if (bytes > std::max(options_.max_bytes, saturated_sum(input_bytes, input_bytes)) ||
        bytes > allowed_ - total_) {
      return false;
    }
    try {
      std::vector<Tensor> results = evaluate(graph_, node, inputs, allowed_ - total_);
      for (size_t i = 0; i < results.size(); ++i) {
        if (node.outputs[i] == no_value) continue;
        total_ = saturated_sum(total_, bytes_with_text(results[i]));
        keep(node.outputs[i], std::move(results[i]));
      }
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::Timeout || e.kind() == ErrorKind::Cancelled) throw;
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
  int64_t total_ = 0, allowed_ = 0;
};

}  // namespace

int64_t fold_constants(Graph& graph, const FoldOptions& options) {
  return Folder(graph, options).run();
}

std::vector<Tensor> evaluate(Graph& graph, Node& node, std::span<const Tensor* const> inputs,
                             int64_t max_memory) {
  RunControl control;
  control.max_memory = max_memory;
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
  } else if (!writes_nothing(out_ptrs)) {
    PrepareContext prepare(in_ptrs, out_ptrs, {});
    std::unique_ptr<KernelState> state = node.op->prepare(prepare);
    Tensor scratch = control.allocate(DType::UInt8, {std::max<int64_t>(prepare.scratch(), 1)});
    RunContext context(in_ptrs, out_ptrs, state.get(), scratch.raw(), nullptr, &control);
    node.op->run(context);
  }
  std::vector<Tensor> results;
  // Text of results is counted as long as they live.
  for (RuntimeValue& v : out) {
    results.push_back(v.tensor.defined() ? control.count_text(std::move(v.tensor)) : Tensor());
  }
  return results;
}

}  // namespace onnxrun
