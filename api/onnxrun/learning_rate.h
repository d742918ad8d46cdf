// Which learning rate to train with: a sweep.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "onnxrun/fit.h"

namespace onnxrun {

struct SweepOptions {
  double from = 1e-7, to = 10;  // learning rates
  int64_t steps = 100;
  // The sweep ends where the smoothed loss is this many times the best one before.
  double diverged = 4;
};

struct RateSweep {
  struct Point {
    double lr = 0, loss = 0;  // of one batch, before the update
    // Averaged exponentially with factor 0.98, bias corrected.
    double smoothed = 0;
  };
  std::vector<Point> points;
  // The rate where the smoothed loss falls fastest, by the logarithm of the rate, the first ten and
  // the last point apart; none if it never falls or the points are too few.
  std::optional<double> suggestion;
};

// Trains a copy of the model on the batches that `options` say, each step with a rate higher by the
// same factor (Smith 2015, "Cyclical learning rates for training neural networks"; smoothing,
// suggestion and end are those of PyTorch Lightning's lr_find). Epochs, schedule and callbacks of
// the options do not count. Throws what Fit does, Usage for a range that is none.
RateSweep find_learning_rate(const Model& model, const NamedTensors& data, FitOptions options,
                             const SweepOptions& sweep = {});

}  // namespace onnxrun
