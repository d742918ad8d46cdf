// What the handles of onnxrun.h hold, and how its functions speak C++.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "onnxrun.h"
#include "onnxrun/evaluate.h"
#include "onnxrun/fit.h"
#include "onnxrun/model.h"
#include "onnxrun/session.h"
#include "onnxrun/stored_training.h"
#include "onnxrun/trainer.h"

struct onnxrun_options {
  std::multimap<std::string, std::string> values;
};

struct onnxrun_model {
  explicit onnxrun_model(onnxrun::Model m);

  onnxrun::Model model;
  std::vector<onnxrun::ValueInfo> inputs, outputs;
  std::vector<onnxrun::InitializerInfo> initializers;
};

struct onnxrun_session {
  onnxrun::Session session;
  onnxrun::NamedValues given;  // by the last run with inputs; empty after one with bound ones
  std::map<std::string, std::vector<const char*>> texts;  // of outputs that were asked for
};

struct onnxrun_stored_training {
  onnxrun::StoredTraining training;
};

struct onnxrun_names {
  std::vector<std::string> names;
};

struct onnxrun_evaluator {
  onnxrun::Evaluator evaluator;
};

struct onnxrun_arrays {
  onnxrun::NamedTensors arrays;
  std::vector<std::vector<const char*>> texts;  // of arrays of strings
};

struct onnxrun_trainer {
  explicit onnxrun_trainer(onnxrun::Trainer& t) : trainer(&t) {}

  onnxrun::Trainer* trainer;
  std::unique_ptr<onnxrun::Trainer> owned;  // null where a fit has it
  std::map<std::string, onnxrun::FlatTensors> buffers;
};

struct onnxrun_fit {
  onnxrun_fit(const onnxrun::Model& model, const onnxrun::NamedTensors& data,
              onnxrun::FitOptions options);

  onnxrun_callbacks callbacks{};
  onnxrun::Fit fit;
  onnxrun_trainer trainer;
};

namespace onnxrun::c {

// Keeps the failure that is being handled for the calling thread.
onnxrun_status keep_failure() noexcept;

// Runs f; what it throws becomes a status.
template <typename F>
onnxrun_status guarded(const F& f) noexcept {
  try {
    f();
    return ONNXRUN_OK;
  } catch (...) {
    return keep_failure();
  }
}

// Throws Usage where a caller gave NULL.
template <typename T>
T& need(T* pointer, const char* what) {
  if (!pointer) fail(ErrorKind::Usage, "{} is NULL", what);
  return *pointer;
}
std::string need_text(const char* text, const char* what);
// Hands a new handle to the caller, who has to have a place for it.
template <typename T>
void give(std::unique_ptr<T> made, T** handle) {
  T*& place = need(handle, "the result");
  place = made.release();
}

// A tensor over the caller's memory; strings are copied. Throws BadInput for what is no tensor.
Tensor to_tensor(const onnxrun_tensor& view);
NamedTensors to_arrays(const onnxrun_array* arrays, size_t count);
NamedValues to_values(const onnxrun_array* arrays, size_t count);

// A view that lives as long as `tensor` and `texts`, which becomes the data of strings.
onnxrun_tensor to_view(const Tensor& tensor, std::vector<const char*>& texts);
// Of tensors that hold no strings.
onnxrun_tensor to_view(const Tensor& tensor);

std::unique_ptr<onnxrun_arrays> new_arrays(NamedTensors arrays);

std::vector<std::string> to_names(const char* const* list, size_t count);
// Hands names to the caller, who may not want them.
void give_names(std::vector<std::string> names, onnxrun_names** handle);
// "loss", "notes", ... of a summary. Throws Usage for other parts.
std::vector<std::string> texts_of(const TaskSummary& summary, const std::string& what);
// Loss, metrics and confusion as arrays.
NamedTensors to_arrays(const Evaluation& evaluation);

}  // namespace onnxrun::c
