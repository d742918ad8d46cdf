#include "base/error.h"
#include "c/handles.h"
#include "c/options.h"

using namespace onnxrun::c;  // NOLINT: functions of C have no namespace

namespace {

const onnxrun::StoredTraining& training_of(const onnxrun_stored_training* handle) {
  return need(handle, "the training").training;
}
onnxrun::StoredTraining& training_of(onnxrun_stored_training* handle) {
  return need(handle, "the training").training;
}

}  // namespace

onnxrun_status onnxrun_stored_training_new(const onnxrun_model* model,
                                           const onnxrun_options* options,
                                           onnxrun_stored_training** training) {
  return guarded([&] {
    onnxrun::StoredTrainingOptions chosen;
    OptionReader reader(options);
    read_options(reader, chosen.session);
    reader.read("seed", chosen.seed);
    reader.finish();
    give(std::make_unique<onnxrun_stored_training>(onnxrun_stored_training{
             onnxrun::StoredTraining(need(model, "the model").model, chosen)}),
         training);
  });
}

void onnxrun_stored_training_free(onnxrun_stored_training* training) {
  delete training;  // NOLINT: a handle of C
}

onnxrun_status onnxrun_stored_training_names(const onnxrun_stored_training* training,
                                             const char* what, onnxrun_names** names) {
  return guarded([&] {
    const onnxrun::StoredTraining& t = training_of(training);
    const std::string text = need_text(what, "what is asked for");
    std::vector<std::string> list;
    if (text == "inputs") {
      for (const onnxrun::ValueInfo& info : t.inputs()) list.push_back(info.name);
    } else if (text == "outputs") {
      list = t.output_names();
    } else if (text == "state") {
      for (const onnxrun::NamedTensor& s : t.state()) list.push_back(s.name);
    } else {
      onnxrun::fail(onnxrun::ErrorKind::Usage, "there are no '{}', but inputs, outputs and state",
                    text);
    }
    give_names(std::move(list), names);
  });
}

onnxrun_status onnxrun_stored_training_initialize(onnxrun_stored_training* training) {
  return guarded([&] { training_of(training).initialize(); });
}

onnxrun_status onnxrun_stored_training_step(onnxrun_stored_training* training,
                                            const onnxrun_array* inputs, size_t count,
                                            onnxrun_arrays** outputs) {
  return guarded([&] {
    onnxrun::NamedTensors tensors;
    for (auto& [name, value] : training_of(training).step(to_values(inputs, count))) {
      if (value.is_tensor()) tensors.push_back({name, value.tensor});
    }
    if (outputs) give(new_arrays(std::move(tensors)), outputs);
  });
}

int64_t onnxrun_stored_training_steps(const onnxrun_stored_training* training) {
  return training ? training->training.steps() : 0;
}

onnxrun_status onnxrun_stored_training_state(const onnxrun_stored_training* training,
                                             onnxrun_arrays** state) {
  return guarded([&] { give(new_arrays(training_of(training).state()), state); });
}

onnxrun_status onnxrun_stored_training_set_state(onnxrun_stored_training* training,
                                                 const onnxrun_array* state, size_t count) {
  return guarded([&] {
    onnxrun::NamedTensors copies;
    for (onnxrun::NamedTensor& t : to_arrays(state, count)) {
      copies.push_back({t.name, t.tensor.clone()});
    }
    training_of(training).set_state(copies);
  });
}

onnxrun_status onnxrun_stored_training_save(const onnxrun_stored_training* training,
                                            const char* path, int in_place) {
  return guarded([&] { training_of(training).save(need_text(path, "the path"), in_place != 0); });
}

void onnxrun_stored_training_cancel(onnxrun_stored_training* training) {
  if (training) training->training.cancel();
}
