#include <algorithm>
#include <cstring>

#include "c/handles.h"
#include "c/options.h"
#include "onnxrun/callbacks.h"

using namespace onnxrun::c;  // NOLINT: functions of C have no namespace

namespace {

// Calls the functions that C gave.
class Bridge final : public onnxrun::Callback {
 public:
  explicit Bridge(onnxrun_fit& handle) : handle_(handle) {}

  void step_end(onnxrun::Fit& fit, const onnxrun::StepRecord& r) override {
    if (!handle_.callbacks.step_end) return;
    call(handle_.callbacks.step_end, {r.epoch, r.step, r.loss, r.lr, fit.seconds()});
  }
  void epoch_end(onnxrun::Fit&, const onnxrun::EpochRecord& r) override {
    call(handle_.callbacks.epoch_end, {r.epoch, r.step, r.loss, r.lr, r.seconds});
  }

 private:
  void call(int32_t (*function)(void*, onnxrun_fit*, const onnxrun_record*),
            const onnxrun_record& record) const {
    const int32_t result = function ? function(handle_.callbacks.user, &handle_, &record) : 0;
    if (result == 1) handle_.fit.stop();
    if (result != 0 && result != 1) {
      onnxrun::fail(onnxrun::ErrorKind::Cancelled, "a callback ended the training");
    }
  }

  onnxrun_fit& handle_;
};

onnxrun::FitOptions with_bridge(onnxrun::FitOptions options, onnxrun_fit& handle) {
  options.callbacks.push_back(std::make_shared<Bridge>(handle));
  return options;
}

const onnxrun::EpochRecord& epoch_at(const onnxrun_fit* fit, size_t index) {
  const auto& history = need(fit, "the training").fit.history();
  if (index >= history.size()) {
    onnxrun::fail(onnxrun::ErrorKind::Usage, "the history has {} epochs, none is number {}",
                  history.size(), index);
  }
  return history[index];
}

}  // namespace

onnxrun_fit::onnxrun_fit(const onnxrun::Model& model, const onnxrun::NamedTensors& data,
                         onnxrun::FitOptions options)
    : fit(model, data, with_bridge(std::move(options), *this)), trainer(fit.trainer()) {}

onnxrun_status onnxrun_fit_new(const onnxrun_model* model, const onnxrun_options* options,
                               const onnxrun_array* data, size_t count,
                               const onnxrun_array* validation, size_t validation_count,
                               onnxrun_fit** fit) {
  return guarded([&] {
    onnxrun::FitOptions chosen;
    OptionReader reader(options);
    read_options(reader, chosen);
    reader.finish();
    chosen.validation = to_arrays(validation, validation_count);
    give(std::make_unique<onnxrun_fit>(need(model, "the model").model, to_arrays(data, count),
                                       std::move(chosen)),
         fit);
  });
}

void onnxrun_fit_free(onnxrun_fit* fit) { delete fit; }  // NOLINT: a handle of C

onnxrun_status onnxrun_fit_set_callbacks(onnxrun_fit* fit, const onnxrun_callbacks* callbacks) {
  return guarded([&] {
    onnxrun_callbacks known{};
    std::memcpy(&known, &need(callbacks, "the callbacks"),
                std::min(callbacks->size, sizeof(onnxrun_callbacks)));
    need(fit, "the training").callbacks = known;
  });
}

onnxrun_status onnxrun_fit_run(onnxrun_fit* fit) {
  return guarded([&] { need(fit, "the training").fit.run(); });
}

void onnxrun_fit_stop(onnxrun_fit* fit) {
  if (fit) fit->fit.stop();
}

void onnxrun_fit_cancel(onnxrun_fit* fit) {
  if (fit) fit->fit.cancel();
}

onnxrun_status onnxrun_fit_resume(onnxrun_fit* fit, const char* checkpoint_dir, int32_t* found) {
  return guarded([&] {
    const bool resumed = onnxrun::Checkpoints::resume(need_text(checkpoint_dir, "the folder"),
                                                      need(fit, "the training").fit);
    if (found) *found = resumed ? 1 : 0;
  });
}

size_t onnxrun_fit_epochs(const onnxrun_fit* fit) { return fit ? fit->fit.history().size() : 0; }

onnxrun_status onnxrun_fit_epoch(const onnxrun_fit* fit, size_t index, onnxrun_record* record) {
  return guarded([&] {
    const onnxrun::EpochRecord& r = epoch_at(fit, index);
    need(record, "the result") = {r.epoch, r.step, r.loss, r.lr, r.seconds};
  });
}

onnxrun_status onnxrun_fit_metric(const onnxrun_fit* fit, size_t index, const char* name,
                                  double* value) {
  return guarded([&] {
    const std::string text = need_text(name, "the name");
    const std::optional<double> found = epoch_at(fit, index).value(text);
    if (!found) onnxrun::fail(onnxrun::ErrorKind::Usage, "'{}' was not measured", text);
    need(value, "the result") = *found;
  });
}

onnxrun_trainer* onnxrun_fit_trainer(onnxrun_fit* fit) { return fit ? &fit->trainer : nullptr; }

onnxrun_status onnxrun_fit_state(const onnxrun_fit* fit, onnxrun_arrays** state) {
  return guarded([&] { give(new_arrays(need(fit, "the training").fit.state()), state); });
}

onnxrun_status onnxrun_fit_set_state(onnxrun_fit* fit, const onnxrun_array* state, size_t count) {
  return guarded([&] { need(fit, "the training").fit.set_state(to_arrays(state, count)); });
}
