#include "fit/metrics_log.h"
#include "fit/saved_fit.h"
#include "onnxrun/callbacks.h"

namespace onnxrun {

struct LogFile::Impl {
  std::string path;
  int64_t every;
  std::vector<std::string> names;
  std::unique_ptr<MetricsLog> log;
  StepRecord step;          // the last one
  double seconds = 0;       // when it was done
  bool is_pending = false;  // it has no row yet
};

LogFile::LogFile(std::string path, int64_t every)
    : impl_(new Impl{std::move(path), every, {}, nullptr, {}}) {}
LogFile::~LogFile() = default;

void LogFile::begin(Fit& fit) {
  const std::vector<std::string>& measured = fit.summary().metrics;
  impl_->names = measured;
  if (fit.has(Fit::Part::Validation)) {
    impl_->names.emplace_back("val_loss");
    for (const std::string& name : measured) impl_->names.push_back("val_" + name);
  }
  // The row of a step that was done but not written yet is written once more.
  std::optional<int64_t> done;
  if (fit.steps() > 0) done = fit.steps() - (impl_->is_pending ? 1 : 0);
  impl_->log = std::make_unique<MetricsLog>(impl_->path, impl_->names, done);
}

void LogFile::step_end(Fit& fit, const StepRecord& record) {
  // The row of an epoch's last step waits for what is measured then.
  if (impl_->every > 0 && impl_->is_pending && impl_->step.step % impl_->every == 0) {
    const StepRecord& s = impl_->step;
    impl_->log->write({s.epoch, s.step, s.loss, s.lr,
                       std::vector<std::optional<double>>(impl_->names.size()), impl_->seconds});
  }
  impl_->step = record;
  if (impl_->every > 0) impl_->seconds = fit.seconds();
  impl_->is_pending = true;
}

void LogFile::epoch_end(Fit&, const EpochRecord& record) {
  const bool by_steps = impl_->every > 0, measured = !impl_->names.empty();
  impl_->is_pending = false;
  if (by_steps && !measured && impl_->step.step % impl_->every != 0) return;
  MetricsRow row{record.epoch, record.step, by_steps ? impl_->step.loss : record.loss,
                 record.lr,    {},          record.seconds};
  for (const std::string& name : impl_->names) row.metrics.push_back(record.value(name));
  impl_->log->write(row);
}

NamedTensors LogFile::state() const {
  const StepRecord& s = impl_->step;
  return {{"counts", Tensor::of<int64_t>({3}, {s.epoch, s.step, impl_->is_pending ? 1 : 0})},
          {"numbers", Tensor::of<double>({3}, {s.loss, s.lr, impl_->seconds})}};
}

void LogFile::set_state(const NamedTensors& state) {
  SavedFit saved(state);
  std::vector<int64_t> counts = saved.integers("counts", 3);
  std::vector<double> numbers = saved.doubles("numbers", 3);
  impl_->step = {counts[0], counts[1], numbers[0], numbers[1]};
  impl_->seconds = numbers[2];
  impl_->is_pending = counts[2] != 0;
}

}  // namespace onnxrun
