// Gradients of several batches as one.
#pragma once

#include "onnxrun/trainer.h"
#include "training/loss.h"

namespace onnxrun {

// Loss and gradients of the batch that all added ones make together: means are weighted by their
// samples, sums are added.
class GradientSum {
 public:
  // The trainer must outlive it, or be moved with it.
  GradientSum(Trainer& trainer, Reduction reduction) : trainer_(trainer), reduction_(reduction) {}

  void start();
  // What the trainer's gradients() left in its buffer.
  void add(double loss, int64_t samples);
  // Puts the result into the trainer's buffer.
  void write();
  double loss() const { return loss_; }

 private:
  Trainer& trainer_;
  Reduction reduction_;
  Tensor sum_;
  double loss_ = 0, weight_ = 0;
};

}  // namespace onnxrun
