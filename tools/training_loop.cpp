#include "training_loop.h"

#include <chrono>
#include <cstdio>

#include "base/atomic_file.h"
#include "base/error.h"
#include "interrupt.h"
#include "messages.h"

namespace onnxrun::tool {

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static std::vector<std::string> metric_names(bool validates) {
  if (validates) return {"val_loss"};
  return {};
}

TrainingLoop::TrainingLoop(Trainer& trainer, ModelData training,
                           std::optional<ModelData> validation, LoopOptions options)
    : trainer_(trainer),
      data_(std::move(training)),
      validation_(std::move(validation)),
      options_(std::move(options)),
      batches_(data_.set, options_.batches),
      start_(now()),
      progress_(shows_progress()) {
  if (!options_.log.empty()) {
    log_ = std::make_unique<MetricsLog>(options_.log, metric_names(validation_.has_value()));
  }
}

double TrainingLoop::seconds() const { return now() - start_; }

void TrainingLoop::run() {
  CancelScope cancel(trainer_);
  for (int64_t epoch = 0; epoch < options_.epochs && !finished(); ++epoch) run_epoch(epoch);
  if (!options_.plot.empty()) write_plot();
}

void TrainingLoop::run_epoch(int64_t epoch) {
  batches_.start_epoch(epoch);
  LossAverage average(options_.reduction);
  double loss = 0;
  for (int64_t k = 0; k < batches_.count() && !finished(); ++k) {
    check_interrupt();
    loss = do_step(batches_.batch(k));
    average.add(loss, batches_.size_of(k));
    debug("step {}: loss {:.9g}, lr {:.9g}", step_, loss, trainer_.learning_rate());
    bool last = k + 1 == batches_.count() || finished();
    // The last row of an epoch waits for the validation.
    bool logs = options_.log_every > 0 && step_ % options_.log_every == 0;
    if (logs && !(last && validation_)) write_row(epoch, loss, std::nullopt);
    if (options_.epochs == 1) plot_point(loss_curve_, static_cast<double>(step_), loss);
    if (progress_) show_progress(epoch, k + 1, loss);
  }
  end_epoch(epoch, average.value(), loss);
}

// Buffers of the batches are the same ones again and again, so they are bound once.
void TrainingLoop::bind(std::span<const Tensor> tensors) {
  bool same = bound_.size() == tensors.size();
  for (size_t k = 0; same && k < tensors.size(); ++k) same = bound_[k].same_buffer(tensors[k]);
  if (same) return;
  bound_.assign(tensors.begin(), tensors.end());
  for (size_t k = 0; k < data_.inputs.size(); ++k) trainer_.bind_input(data_.inputs[k], tensors[k]);
  if (data_.has_target) trainer_.bind_target(tensors.back());
}

double TrainingLoop::do_step(std::span<const Tensor> tensors) {
  bind(tensors);
  last_loss_ = trainer_.step();
  ++step_;
  return last_loss_;
}

double TrainingLoop::evaluate(const ModelData& data) {
  CancelScope cancel(trainer_);
  BatchOptions options = options_.batches;
  options.shuffle = false;
  options.drop_last = false;
  Batches batches(data.set, options);
  LossAverage average(options_.reduction);
  for (int64_t k = 0; k < batches.count(); ++k) {
    check_interrupt();
    std::span<const Tensor> tensors = batches.batch(k);
    average.add(trainer_.evaluate(data.feeds(tensors), data.target(tensors)).loss,
                batches.size_of(k));
  }
  return average.value();
}

void TrainingLoop::end_epoch(int64_t epoch, double loss, double step_loss) {
  std::optional<double> validation;
  if (validation_) validation = validation_loss_ = evaluate(*validation_);
  if (options_.log_every == 0) {
    write_row(epoch, loss, validation);
  } else if (validation) {
    write_row(epoch, step_loss, validation);
  }
  auto x = static_cast<double>(options_.epochs == 1 ? step_ : epoch + 1);
  if (options_.epochs > 1) plot_point(loss_curve_, x, loss);
  if (validation) plot_point(validation_curve_, x, *validation);
  if (!is_logged(LogLevel::Info)) return;
  bool shown = progress_ && epoch + 1 < options_.epochs && now() - shown_at_ < 0.1;
  if (shown) return;
  clear_progress();
  std::string text = fmt::format("epoch {}/{}: loss {:.6g}", epoch + 1, options_.epochs, loss);
  if (validation) text += fmt::format(", val_loss {:.6g}", *validation);
  info("{}, {:.1f} s", text, seconds());
  shown_at_ = now();
}

void TrainingLoop::write_row(int64_t epoch, double loss, std::optional<double> validation) {
  if (!log_) return;
  MetricsRow row{epoch + 1, step_, loss, trainer_.learning_rate(), {}, seconds()};
  if (validation_) row.metrics = {validation};
  log_->write(row);
}

void TrainingLoop::plot_point(PlotSeries& series, double x, double y) {
  if (options_.plot.empty()) return;
  series.x.push_back(x);
  series.y.push_back(y);
}

void TrainingLoop::write_plot() const {
  PlotLabels labels;
  labels.x = options_.epochs == 1 ? "step" : "epoch";
  std::vector<PlotSeries> curves = {loss_curve_};
  if (validation_) curves.push_back(validation_curve_);
  write_file(options_.plot, loss_plot(curves, labels));
}

void TrainingLoop::show_progress(int64_t epoch, int64_t done, double loss) {
  double time = now();
  if (time - shown_at_ < 0.1) return;
  shown_at_ = time;
  int64_t total = options_.epochs * batches_.count();
  if (options_.max_steps) total = std::min(total, *options_.max_steps);
  double part = static_cast<double>(step_) / static_cast<double>(total);
  auto filled = static_cast<size_t>(part * 24);
  double left = (time - start_) / part * (1 - part);
  std::string line = fmt::format("epoch {}/{} [{}{}] batch {}/{}, loss {:.6g}, {:.0f} s left",
                                 epoch + 1, options_.epochs, std::string(filled, '='),
                                 std::string(24 - filled, ' '), done, batches_.count(), loss, left);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
}

void TrainingLoop::clear_progress() {
  if (progress_) std::fprintf(stderr, "\r\033[K");
}

}  // namespace onnxrun::tool
