// A training as the command shows it.
#pragma once

#include <string>
#include <vector>

#include "onnxrun/fit.h"
#include "onnxrun/learning_rate.h"
#include "plot/figure.h"

namespace onnxrun::tool {

// A bar on a terminal; a line an epoch (on a terminal at most ten a second).
class Progress final : public Callback {
 public:
  Progress();

  void step_end(Fit& fit, const StepRecord& record) override;
  void epoch_end(Fit& fit, const EpochRecord& record) override;
  void aborted(Fit& fit) override;

 private:
  void clear() const;

  bool bar_;
  double shown_at_ = 0;
};

// Losses, metrics and a learning rate that changes, below each other, written as a picture when the
// training ends. A training of one epoch is plotted by its steps.
class CurvePlot final : public Callback {
 public:
  explicit CurvePlot(std::string path) : path_(std::move(path)) {}

  void step_end(Fit& fit, const StepRecord& record) override;
  void end(Fit& fit) override;

 private:
  std::string path_;
  std::vector<StepRecord> steps_;  // of a training of one epoch
};

// Losses over learning rates, with the suggestion as a dot.
void plot_sweep(const std::string& path, const RateSweep& sweep);

}  // namespace onnxrun::tool
