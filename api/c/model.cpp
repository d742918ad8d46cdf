#include <algorithm>

#include "c/handles.h"
#include "c/options.h"
#include "onnxrun/gradients.h"
#include "onnxrun/model_changes.h"
#include "onnxrun/preparation.h"

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

onnxrun::LoadOptions load_options(const onnxrun_options* options) {
  onnxrun::LoadOptions chosen;
  OptionReader reader(options);
  read_options(reader, chosen);
  reader.finish();
  return chosen;
}

const onnxrun::InitializerInfo& initializer_at(const onnxrun_model* model, size_t index) {
  const auto& all = need(model, "the model").initializers;
  if (index < all.size()) return all[index];
  onnxrun::fail(onnxrun::ErrorKind::Usage, "the model has {} initializers, none is number {}",
                all.size(), index);
}

}  // namespace

onnxrun_status onnxrun_model_load(const char* path, onnxrun_model** model) {
  return onnxrun_model_load_with(path, nullptr, model);
}

onnxrun_status onnxrun_model_load_bytes(const void* bytes, size_t size, onnxrun_model** model) {
  return onnxrun_model_load_bytes_with(bytes, size, nullptr, model);
}

onnxrun_status onnxrun_model_load_with(const char* path, const onnxrun_options* options,
                                       onnxrun_model** model) {
  return guarded([&] {
    const std::string file = need_text(path, "the path");
    give(std::make_unique<onnxrun_model>(onnxrun::Model::load(file, load_options(options))), model);
  });
}

onnxrun_status onnxrun_model_load_bytes_with(const void* bytes, size_t size,
                                             const onnxrun_options* options,
                                             onnxrun_model** model) {
  return guarded([&] {
    const auto* text = static_cast<const char*>(bytes);
    if (size > 0) need(text, "the bytes");
    give(std::make_unique<onnxrun_model>(
             onnxrun::Model::from_bytes(std::string(text, text + size), load_options(options))),
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
    const onnxrun::InitializerInfo& info = initializer_at(model, index);
    if (name) *name = info.name.c_str();
    if (value) *value = to_view(info.value);
    if (trains) *trains = info.trainable ? 1 : 0;
  });
}

onnxrun_status onnxrun_model_initializer_role(const onnxrun_model* model, size_t index,
                                              const char** role, const char** reason) {
  return guarded([&] {
    const onnxrun::InitializerInfo& info = initializer_at(model, index);
    if (role) *role = info.role.c_str();
    if (reason) *reason = info.reason.c_str();
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
  return onnxrun_model_gradients_with(model, nullptr, of, of_count, wrt, wrt_count, gradients);
}

onnxrun_status onnxrun_model_gradients_with(const onnxrun_model* model,
                                            const onnxrun_options* options, const char* const* of,
                                            size_t of_count, const char* const* wrt,
                                            size_t wrt_count, onnxrun_model** gradients) {
  return guarded([&] {
    bool cotangents = false, in_double = false;
    OptionReader reader(options);
    reader.read("cotangents", cotangents);
    reader.read("double_precision", in_double);
    reader.finish();
    give(std::make_unique<onnxrun_model>(
             onnxrun::gradient_model(need(model, "the model").model, to_names(of, of_count),
                                     to_names(wrt, wrt_count), cotangents, in_double)),
         gradients);
  });
}

onnxrun_status onnxrun_model_new_classes(const onnxrun_model* model, int64_t classes,
                                         const char* output, uint64_t seed, onnxrun_model** changed,
                                         onnxrun_names** tensors) {
  return guarded([&] {
    onnxrun::NewClasses made = onnxrun::with_new_classes(need(model, "the model").model, classes,
                                                         output ? output : "", seed);
    give(std::make_unique<onnxrun_model>(std::move(made.model)), changed);
    give_names(std::move(made.tensors), tensors);
  });
}

onnxrun_status onnxrun_model_unshare(const onnxrun_model* model, const char* mode,
                                     onnxrun_model** changed, onnxrun_names** added) {
  return guarded([&] {
    onnxrun::UnsharedModel made =
        onnxrun::unshare(need(model, "the model").model, to_unshare(need_text(mode, "the mode")));
    give(std::make_unique<onnxrun_model>(std::move(made.model)), changed);
    std::vector<std::string> names;
    for (onnxrun::UnsharedTensor& t : made.added) names.push_back(std::move(t.name));
    give_names(std::move(names), added);
  });
}

onnxrun_status onnxrun_model_preparation(const onnxrun_model* model, onnxrun_arrays** preparation) {
  return guarded([&] {
    const onnxrun::Preparation stored = onnxrun::Preparation::of(need(model, "the model").model);
    onnxrun::NamedTensors arrays;
    for (const auto& [name, input] : stored.inputs) {
      arrays.push_back({name + ".scale", onnxrun::Tensor::scalar(input.scale)});
      if (!input.mean.defined()) continue;
      arrays.push_back({name + ".mean", input.mean});
      arrays.push_back({name + ".deviation", input.deviation});
    }
    for (const auto& [name, classes] : stored.classes) {
      onnxrun::Tensor texts(onnxrun::DType::String, {static_cast<int64_t>(classes.size())});
      std::copy(classes.begin(), classes.end(), texts.data<std::string>());
      arrays.push_back({name + ".classes", texts});
    }
    give(new_arrays(std::move(arrays)), preparation);
  });
}
