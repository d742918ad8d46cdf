#include "fit/metrics_log.h"
#include "onnxrun/callbacks.h"

namespace onnxrun {

struct LogFile::Impl {
  std::string path;
  int64_t every;
  std::vector<std::string> names;
  std::unique_ptr<MetricsLog> log;
  StepRecord step;  // the last one
  bool is_step_written = false;
};

LogFile::LogFile(std::string path, int64_t every)
    : impl_(new Impl{std::move(path), every, {}, nullptr, {}}) {}
LogFile::~LogFile() = default;

void LogFile::begin(Fit& fit) {
  const FitOptions& o = fit.options();
  impl_->names = o.metrics;
  if (fit.has(Fit::Part::Validation)) {
    impl_->names.emplace_back("val_loss");
    for (const std::string& name : o.metrics) impl_->names.push_back("val_" + name);
  }
  std::optional<int64_t> done;
  if (fit.steps() > 0) done = fit.steps();
  impl_->log = std::make_unique<MetricsLog>(impl_->path, impl_->names, done);
}

void LogFile::step_end(Fit&, const StepRecord& record) {
  if (impl_->every == 0) return;
  // The row of an epoch's last step waits for what is measured then.
  if (impl_->step.step > 0 && !impl_->is_step_written && impl_->step.step % impl_->every == 0) {
    const StepRecord& s = impl_->step;
    impl_->log->write({s.epoch, s.step, s.loss, s.lr,
                       std::vector<std::optional<double>>(impl_->names.size()), s.seconds});
  }
  impl_->step = record;
  impl_->is_step_written = false;
}

void LogFile::epoch_end(Fit&, const EpochRecord& record) {
  bool by_steps = impl_->every > 0;
  bool measured = !impl_->names.empty();
  if (by_steps && !measured && impl_->step.step % impl_->every != 0) return;
  MetricsRow row{record.epoch, record.step, by_steps ? impl_->step.loss : record.loss, record.lr,
                 {},           record.seconds};
  for (const std::string& name : impl_->names) row.metrics.push_back(record.value(name));
  impl_->log->write(row);
  impl_->is_step_written = true;
}

}  // namespace onnxrun
