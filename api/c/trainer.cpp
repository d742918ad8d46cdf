#include <algorithm>
#include <utility>

#include "base/error.h"
#include "c/handles.h"
#include "c/options.h"

using namespace onnxrun::c;  // NOLINT: functions of C have no namespace

namespace {

onnxrun::Trainer& trainer_of(onnxrun_trainer* t) { return *need(t, "the trainer").trainer; }
const onnxrun::Trainer& trainer_of(const onnxrun_trainer* t) {
  return *need(t, "the trainer").trainer;
}

const onnxrun::FlatTensors& buffer_of(onnxrun_trainer& t, const std::string& what) {
  auto it = t.buffers.find(what);
  if (it != t.buffers.end()) return it->second;
  onnxrun::FlatTensors buffer = what == "parameters"  ? t.trainer->parameters()
                                : what == "gradients" ? t.trainer->gradient_buffer()
                                                      : t.trainer->slots(what);
  return t.buffers.emplace(what, std::move(buffer)).first->second;
}

}  // namespace

onnxrun_status onnxrun_trainer_new(const onnxrun_model* model, const onnxrun_options* options,
                                   onnxrun_trainer** trainer) {
  return guarded([&] {
    const onnxrun::Model& given = need(model, "the model").model;
    onnxrun::TrainerOptions chosen;
    OptionReader reader(options);
    read_options(reader, given, chosen);
    reader.finish();
    auto made = std::make_unique<onnxrun::Trainer>(given, chosen);
    auto handle = std::make_unique<onnxrun_trainer>(*made);
    handle->owned = std::move(made);
    give(std::move(handle), trainer);
  });
}

void onnxrun_trainer_free(onnxrun_trainer* trainer) {
  // A fit's own goes with the fit.
  if (trainer && trainer->owned) delete trainer;  // NOLINT: a handle of C
}

onnxrun_status onnxrun_trainer_step(onnxrun_trainer* trainer, const onnxrun_array* values,
                                    size_t count, double* loss) {
  return guarded([&] {
    const double before = trainer_of(trainer).step(to_values(values, count));
    if (loss) *loss = before;
  });
}

onnxrun_status onnxrun_trainer_bind(onnxrun_trainer* trainer, const char* name,
                                    const onnxrun_tensor* tensor) {
  return guarded([&] {
    const std::string text = need_text(name, "the name");
    onnxrun::Tensor memory = to_tensor(need(tensor, "the tensor"));
    if (text == "target") {
      trainer_of(trainer).bind_target(std::move(memory));
    } else {
      trainer_of(trainer).bind_input(text, std::move(memory));
    }
  });
}

onnxrun_status onnxrun_trainer_step_bound(onnxrun_trainer* trainer, double* loss) {
  return guarded([&] {
    const double before = trainer_of(trainer).step();
    if (loss) *loss = before;
  });
}

onnxrun_status onnxrun_trainer_gradients(onnxrun_trainer* trainer, double* loss) {
  return guarded([&] {
    const double before = trainer_of(trainer).gradients();
    if (loss) *loss = before;
  });
}

onnxrun_status onnxrun_trainer_apply(onnxrun_trainer* trainer) {
  return guarded([&] { trainer_of(trainer).apply(); });
}

onnxrun_status onnxrun_trainer_names(const onnxrun_trainer* trainer, const char* what,
                                     onnxrun_names** names) {
  return guarded([&] {
    const onnxrun::Trainer& t = trainer_of(trainer);
    const std::string text = need_text(what, "what is asked for");
    std::vector<std::string> found;
    if (text == "targets") {
      found = t.target_names();
    } else if (text == "outputs") {
      found = t.output_names();
    } else if (text == "trained") {
      found = t.trained();
    } else if (text == "without_gradient") {
      found = t.without_gradient();
    } else if (text == "unshared") {
      for (const onnxrun::UnsharedTensor& u : t.unshared()) found.push_back(u.name);
    } else {
      onnxrun::fail(onnxrun::ErrorKind::Usage,
                    "there are no '{}'; there are targets, outputs, trained, without_gradient, "
                    "unshared",
                    text);
    }
    give_names(std::move(found), names);
  });
}

onnxrun_status onnxrun_trainer_output(const onnxrun_trainer* trainer, size_t index,
                                      onnxrun_tensor* tensor) {
  return guarded([&] { need(tensor, "the result") = to_view(trainer_of(trainer).output(index)); });
}

onnxrun_status onnxrun_trainer_losses(const onnxrun_trainer* trainer, double* losses,
                                      size_t count) {
  return guarded([&] {
    const std::vector<double> found = trainer_of(trainer).losses();
    if (found.size() != count) {
      onnxrun::fail(onnxrun::ErrorKind::Usage, "there are {} losses, not {}", found.size(), count);
    }
    std::copy(found.begin(), found.end(), &need(losses, "the result"));
  });
}

onnxrun_status onnxrun_trainer_bind_evaluation(onnxrun_trainer* trainer, const char* name,
                                               const onnxrun_tensor* tensor) {
  return guarded([&] {
    trainer_of(trainer).bind_evaluation_input(need_text(name, "the name"),
                                              to_tensor(need(tensor, "the tensor")));
  });
}

onnxrun_status onnxrun_trainer_evaluate_bound(onnxrun_trainer* trainer, double* loss) {
  return guarded([&] {
    const double found = trainer_of(trainer).evaluate();
    if (loss) *loss = found;
  });
}

onnxrun_status onnxrun_trainer_weights(const onnxrun_trainer* trainer, onnxrun_arrays** weights) {
  return guarded([&] {
    onnxrun::NamedTensors copies;
    for (const auto& [name, value] : trainer_of(trainer).weights()) {
      copies.push_back({name, value.clone()});
    }
    give(new_arrays(std::move(copies)), weights);
  });
}

onnxrun_status onnxrun_trainer_set_weights(onnxrun_trainer* trainer, const onnxrun_array* weights,
                                           size_t count) {
  return guarded([&] { trainer_of(trainer).set_weights(to_arrays(weights, count)); });
}

onnxrun_status onnxrun_trainer_export_step(const onnxrun_trainer* trainer, const char* path) {
  return guarded([&] { trainer_of(trainer).export_step(need_text(path, "the path")); });
}

onnxrun_status onnxrun_trainer_evaluate(onnxrun_trainer* trainer, const onnxrun_array* values,
                                        size_t count, double* loss) {
  return guarded([&] {
    need(loss, "the result") = trainer_of(trainer).evaluate(to_values(values, count)).loss;
  });
}

onnxrun_status onnxrun_trainer_set_learning_rate(onnxrun_trainer* trainer, double lr) {
  return guarded([&] { trainer_of(trainer).set_learning_rate(lr); });
}

double onnxrun_trainer_learning_rate(const onnxrun_trainer* trainer) {
  return trainer ? trainer->trainer->learning_rate() : 0;
}

onnxrun_status onnxrun_trainer_buffer(onnxrun_trainer* trainer, const char* what,
                                      onnxrun_tensor* values) {
  return guarded([&] {
    need(values, "the result") =
        to_view(buffer_of(need(trainer, "the trainer"), need_text(what, "the buffer")).values);
  });
}

size_t onnxrun_trainer_parts(onnxrun_trainer* trainer) {
  size_t parts = 0;
  guarded([&] { parts = buffer_of(need(trainer, "the trainer"), "parameters").parts.size(); });
  return parts;
}

onnxrun_status onnxrun_trainer_part(onnxrun_trainer* trainer, size_t index, const char** name,
                                    int64_t* offset, const int64_t** dims, int32_t* rank) {
  return guarded([&] {
    const auto& parts = buffer_of(need(trainer, "the trainer"), "parameters").parts;
    if (index >= parts.size()) {
      onnxrun::fail(onnxrun::ErrorKind::Usage, "{} tensors train, none is number {}", parts.size(),
                    index);
    }
    if (name) *name = parts[index].name.c_str();
    if (offset) *offset = parts[index].offset;
    if (dims) *dims = parts[index].dims.data();
    if (rank) *rank = static_cast<int32_t>(parts[index].dims.size());
  });
}

onnxrun_status onnxrun_trainer_state(const onnxrun_trainer* trainer, onnxrun_arrays** state) {
  return guarded([&] { give(new_arrays(trainer_of(trainer).state()), state); });
}

onnxrun_status onnxrun_trainer_set_state(onnxrun_trainer* trainer, const onnxrun_array* state,
                                         size_t count) {
  return guarded([&] { trainer_of(trainer).set_state(to_arrays(state, count)); });
}

onnxrun_status onnxrun_trainer_save(const onnxrun_trainer* trainer, const char* path,
                                    int32_t in_place) {
  return guarded([&] { trainer_of(trainer).save(need_text(path, "the path"), in_place != 0); });
}

void onnxrun_trainer_cancel(onnxrun_trainer* trainer) {
  if (trainer) trainer->trainer->cancel();
}
