// The loss of a data set from the losses of its batches.
#pragma once

#include <cstdint>

#include "training/loss.h"

namespace onnxrun {

// One number for all samples, however they are cut into batches: losses that are means are weighted
// by the samples of their batch and divided by all of them, losses that are sums are added.
class LossAverage {
 public:
  explicit LossAverage(Reduction reduction) : reduction_(reduction) {}

  void add(double loss, int64_t samples) {
    double weight = reduction_ == Reduction::Mean ? static_cast<double>(samples) : 1;
    sum_ += loss * weight;
    samples_ += static_cast<double>(samples);
  }
  // NaN where nothing was added.
  double value() const {
    return reduction_ == Reduction::Mean || samples_ == 0 ? sum_ / samples_ : sum_;
  }

  // What value() is made of, to go on with elsewhere.
  double sum() const { return sum_; }
  double samples() const { return samples_; }
  void set(double sum, double samples) {
    sum_ = sum;
    samples_ = samples;
  }

 private:
  Reduction reduction_;
  double sum_ = 0, samples_ = 0;
};

}  // namespace onnxrun
