#include "c/handles.h"
#include "onnxrun/gradients.h"

using namespace onnxrun::c;  // NOLINT: functions of C have no namespace

onnxrun_model::onnxrun_model(onnxrun::Model m)
    : model(std::move(m)),
      inputs(model.inputs()),
      outputs(model.outputs()),
      initializers(model.initializers()) {}

namespace {

const char* text_at(const std::vector<onnxrun::ValueInfo>& list, size_t index,
                    std::string onnxrun::ValueInfo::*part) {
  return index < list.size() ? (list[index].*part).c_str() : nullptr;
}

std::vector<std::string> names(const char* const* list, size_t count) {
  std::vector<std::string> result;
  for (size_t i = 0; i < count; ++i) {
    need(list, "a list of names");
    result.push_back(need_text(list[i], "a name"));
  }
  return result;
}

}  // namespace

onnxrun_status onnxrun_model_load(const char* path, onnxrun_model** model) {
  return guarded([&] {
    give(std::make_unique<onnxrun_model>(onnxrun::Model::load(need_text(path, "the path"))), model);
  });
}

onnxrun_status onnxrun_model_load_bytes(const void* bytes, size_t size, onnxrun_model** model) {
  return guarded([&] {
    const auto* text = static_cast<const char*>(bytes);
    if (size > 0) need(text, "the bytes");
    give(
        std::make_unique<onnxrun_model>(onnxrun::Model::from_bytes(std::string(text, text + size))),
        model);
  });
}

void onnxrun_model_free(onnxrun_model* model) { delete model; }  // NOLINT: a handle of C

size_t onnxrun_model_inputs(const onnxrun_model* model) { return model ? model->inputs.size() : 0; }
size_t onnxrun_model_outputs(const onnxrun_model* model) {
  return model ? model->outputs.size() : 0;
}
size_t onnxrun_model_initializers(const onnxrun_model* model) {
  return model ? model->initializers.size() : 0;
}
const char* onnxrun_model_input_name(const onnxrun_model* model, size_t index) {
  return model ? text_at(model->inputs, index, &onnxrun::ValueInfo::name) : nullptr;
}
const char* onnxrun_model_input_type(const onnxrun_model* model, size_t index) {
  return model ? text_at(model->inputs, index, &onnxrun::ValueInfo::type) : nullptr;
}
const char* onnxrun_model_output_name(const onnxrun_model* model, size_t index) {
  return model ? text_at(model->outputs, index, &onnxrun::ValueInfo::name) : nullptr;
}
const char* onnxrun_model_output_type(const onnxrun_model* model, size_t index) {
  return model ? text_at(model->outputs, index, &onnxrun::ValueInfo::type) : nullptr;
}

onnxrun_status onnxrun_model_initializer(const onnxrun_model* model, size_t index,
                                         const char** name, onnxrun_tensor* value,
                                         int32_t* trains) {
  return guarded([&] {
    const auto& all = need(model, "the model").initializers;
    if (index >= all.size()) {
      onnxrun::fail(onnxrun::ErrorKind::Usage, "the model has {} initializers, none is number {}",
                    all.size(), index);
    }
    if (name) *name = all[index].name.c_str();
    if (value) *value = to_view(all[index].value);
    if (trains) *trains = all[index].trainable ? 1 : 0;
  });
}

onnxrun_status onnxrun_model_save(const onnxrun_model* model, const char* path,
                                  const onnxrun_array* weights, size_t count, int32_t in_place) {
  return guarded([&] {
    std::map<std::string, onnxrun::Tensor> replaced;
    for (onnxrun::NamedTensor& array : to_arrays(weights, count)) {
      replaced[array.name] = array.tensor;
    }
    need(model, "the model").model.save(need_text(path, "the path"), replaced, in_place != 0);
  });
}

onnxrun_status onnxrun_model_gradients(const onnxrun_model* model, const char* const* of,
                                       size_t of_count, const char* const* wrt, size_t wrt_count,
                                       onnxrun_model** gradients) {
  return guarded([&] {
    give(std::make_unique<onnxrun_model>(onnxrun::gradient_model(
             need(model, "the model").model, names(of, of_count), names(wrt, wrt_count))),
         gradients);
  });
}
