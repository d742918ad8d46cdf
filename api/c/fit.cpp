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

  void begin(onnxrun::Fit&) override {
    if (auto* f = handle_.callbacks.begin) obey(f(handle_.callbacks.user, &handle_));
  }
  void end(onnxrun::Fit&) override {
    if (auto* f = handle_.callbacks.end) obey(f(handle_.callbacks.user, &handle_));
  }
  void aborted(onnxrun::Fit&) override {
    if (auto* f = handle_.callbacks.aborted) f(handle_.callbacks.user, &handle_);
  }

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
    obey(function ? function(handle_.callbacks.user, &handle_, &record) : 0);
  }

  void obey(int32_t result) const {
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

onnxrun::Fit::Part part_of(const char* name) {
  const std::string part = need_text(name, "the part");
  if (part == "training") return onnxrun::Fit::Part::Training;
  if (part == "validation") return onnxrun::Fit::Part::Validation;
  if (part == "test") return onnxrun::Fit::Part::Test;
  onnxrun::fail(onnxrun::ErrorKind::Usage,
                "there is no part '{}'; there are training, validation and test", part);
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
  return onnxrun_fit_new_parts(model, options, data, count, validation, validation_count, nullptr,
                               0, fit);
}

onnxrun_status onnxrun_fit_new_parts(const onnxrun_model* model, const onnxrun_options* options,
                                     const onnxrun_array* data, size_t count,
                                     const onnxrun_array* validation, size_t validation_count,
                                     const onnxrun_array* test, size_t test_count,
                                     onnxrun_fit** fit) {
  return guarded([&] {
    const onnxrun::Model& given = need(model, "the model").model;
    onnxrun::FitOptions chosen;
    OptionReader reader(options);
    read_options(reader, given, chosen);
    reader.finish();
    chosen.validation = to_arrays(validation, validation_count);
    chosen.test = to_arrays(test, test_count);
    give(std::make_unique<onnxrun_fit>(given, to_arrays(data, count), std::move(chosen)), fit);
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

onnxrun_status onnxrun_fit_texts(const onnxrun_fit* fit, const char* what, onnxrun_names** texts) {
  return guarded([&] {
    give_names(texts_of(need(fit, "the training").fit.summary(), need_text(what, "the text")),
               texts);
  });
}

int32_t onnxrun_fit_has(const onnxrun_fit* fit, const char* part) {
  bool has = false;
  guarded([&] { has = need(fit, "the training").fit.has(part_of(part)); });
  return has ? 1 : 0;
}

onnxrun_status onnxrun_fit_evaluate(onnxrun_fit* fit, const char* part, onnxrun_arrays** result) {
  return guarded([&] {
    give(new_arrays(to_arrays(need(fit, "the training").fit.evaluate(part_of(part)))), result);
  });
}

onnxrun_status onnxrun_fit_progress(const onnxrun_fit* fit, int64_t* steps, double* last_loss,
                                    double* seconds, double* waited) {
  return guarded([&] {
    const onnxrun::Fit& f = need(fit, "the training").fit;
    if (steps) *steps = f.steps();
    if (last_loss) *last_loss = f.last_loss();
    if (seconds) *seconds = f.seconds();
    if (waited) *waited = f.waited();
  });
}

onnxrun_status onnxrun_fit_standardization(const onnxrun_fit* fit, onnxrun_arrays** numbers) {
  return guarded(
      [&] { give(new_arrays(need(fit, "the training").fit.standardization()), numbers); });
}

onnxrun_status onnxrun_fit_not_finite(const onnxrun_fit* fit, onnxrun_names** text) {
  return guarded([&] {
    std::string found = need(fit, "the training").fit.first_not_finite();
    give_names(found.empty() ? std::vector<std::string>() : std::vector{std::move(found)}, text);
  });
}

onnxrun_status onnxrun_fit_save(const onnxrun_fit* fit, const char* path, int32_t in_place) {
  return guarded(
      [&] { need(fit, "the training").fit.save(need_text(path, "the path"), in_place != 0); });
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
