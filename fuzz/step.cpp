// A model as far as it goes: a run and a training step on inputs of the declared types.
#include <algorithm>
#include <optional>

#include "graph/graph.h"
#include "guarded.h"

using namespace onnxrun;

namespace {

// A value of the declared type, 2 for lengths that are open; none for what is no small tensor.
std::optional<Tensor> fitting(const Type& type) {
  if (!type.is_tensor() || type.dtype == DType::Undefined || !type.shape || type.rank() > 6) {
    return std::nullopt;
  }
  Dims dims;
  int64_t count = 1;
  for (const Dim& d : *type.shape) {
    dims.push_back(d.is_known() ? d.value() : 2);
    if (dims.back() < 0 || dims.back() > 1000) return std::nullopt;
    count *= dims.back();
    if (count > 100'000) return std::nullopt;
  }
  Tensor t(type.dtype, dims);
  if (type.dtype != DType::String) std::fill_n(t.raw(), t.bytes(), std::byte{1});
  return t;
}

std::optional<NamedValues> fitting_inputs(const Graph& graph) {
  NamedValues values;
  for (ValueId v : graph.inputs) {
    const Value& input = graph.value(v);
    auto tensor = fitting(input.type);
    if (!tensor) return std::nullopt;
    values.emplace_back(input.name, *tensor);
  }
  return values;
}

template <typename Options>
Options limited() {
  Options options;
  options.max_memory = fuzz::most_memory;
  options.max_loop_iterations = 1000;
  options.timeout_seconds = 2.0;
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::optional<Model> model;
  fuzz::guarded([&] {
    model = Model::from_bytes({reinterpret_cast<const char*>(data), size}, fuzz::load_options());
  });
  if (!model) return 0;
  auto inputs = fitting_inputs(model->graph());
  if (!inputs) return 0;
  NamedValues outputs;
  fuzz::guarded([&] {
    Session session(*model, limited<SessionOptions>());
    outputs = session.run(*inputs);
  });
  if (outputs.empty() || !outputs[0].second.is_tensor()) return 0;
  fuzz::guarded([&] {
    Trainer trainer(*model, limited<TrainerOptions>());
    trainer.step(*inputs, outputs[0].second.tensor);
    trainer.evaluate(*inputs, outputs[0].second.tensor);
  });
  return 0;
}
