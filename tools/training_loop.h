// Epochs, steps, logs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data_options.h"
#include "fit/metrics_log.h"
#include "loss_plot.h"
#include "onnxrun/trainer.h"
#include "training/loss_average.h"

namespace onnxrun::tool {

struct LoopOptions {
  int64_t epochs = 1;
  std::optional<int64_t> max_steps;
  Reduction reduction = Reduction::Mean;  // of the trainer's loss
  BatchOptions batches;
  std::string log;
  int64_t log_every = 0;  // steps; 0: a row an epoch
  std::string plot;
};

class TrainingLoop {
 public:
  // `validation` may be empty. The trainer must outlive the loop.
  TrainingLoop(Trainer& trainer, ModelData training, std::optional<ModelData> validation,
               LoopOptions options);

  // Trains; throws what the trainer throws, Cancelled and Timeout.
  void run();

  // The loss of the current weights on other data.
  double evaluate(const ModelData& data);

  int64_t steps() const { return step_; }
  double last_loss() const { return last_loss_; }
  // After the last epoch, if there are validation data.
  std::optional<double> validation_loss() const { return validation_loss_; }
  double seconds() const;

 private:
  bool finished() const { return options_.max_steps && step_ >= *options_.max_steps; }
  void run_epoch(int64_t epoch);
  double do_step(std::span<const Tensor> tensors);
  void bind(std::span<const Tensor> tensors);
  void end_epoch(int64_t epoch, double loss, double step_loss);
  void write_row(int64_t epoch, double loss, std::optional<double> validation);
  void plot_point(PlotSeries& series, double x, double y);
  void write_plot() const;
  void show_progress(int64_t epoch, int64_t done, double loss);
  void clear_progress();

  Trainer& trainer_;
  ModelData data_;
  std::optional<ModelData> validation_;
  LoopOptions options_;
  Batches batches_;
  std::unique_ptr<MetricsLog> log_;
  PlotSeries loss_curve_{"loss", {}, {}}, validation_curve_{"val_loss", {}, {}};
  std::vector<Tensor> bound_;
  int64_t step_ = 0;
  double last_loss_ = 0;
  std::optional<double> validation_loss_;
  double start_ = 0, shown_at_ = 0;
  bool progress_ = false;
};

}  // namespace onnxrun::tool
