#include "fit/evaluation_size.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "base/error.h"
#include "training/loss_average.h"

namespace onnxrun {

namespace {

constexpr int64_t most_bytes = 1 << 20;

class Trial {
 public:
  Trial(Trainer& trainer, const ModelData& data, Reduction reduction)
      : trainer_(trainer), data_(data), reduction_(reduction) {}

  // In batches of `size`; NaN where one needs more than `bytes`.
  double loss(int64_t size, int64_t bytes) {
    LossAverage sum(reduction_);
    Batches batches(data_.set, {.batch_size = size, .shuffle = false});
    for (int64_t k = 0; k < batches.count(); ++k) {
      std::span<const Tensor> tensors = batches.batch(k);
      for (const auto& [name, value] : data_.feeds(tensors)) {
        trainer_.bind_evaluation_input(name, value.tensor);
      }
      if (trainer_.evaluation_bytes() > bytes) return std::nan("");
      sum.add(trainer_.evaluate(), batches.size_of(k));
    }
    return sum.value();
  }

 private:
  Trainer& trainer_;
  const ModelData& data_;
  Reduction reduction_;
};

Dataset first_samples(const Dataset& data, int64_t count) {
  std::vector<int64_t> samples(static_cast<size_t>(count));
  std::iota(samples.begin(), samples.end(), 0);
  return data.subset(samples);
}

}  // namespace

int64_t evaluation_size(Trainer& trainer, const ModelData& data, Reduction reduction,
                        int64_t batch_size, int64_t larger) {
  larger = std::min(larger, data.set.samples());
  if (larger <= batch_size) return batch_size;
  ModelData part = data;
  part.set = first_samples(data.set, larger);
  Trial trial(trainer, part, reduction);
  try {
    // What mixes the samples of a batch, or takes no other batch than the user's, shows here.
    double few = trial.loss(batch_size, most_bytes * batch_size / larger);
    if (!std::isfinite(few)) return batch_size;
    double many = trial.loss(larger, most_bytes);
    bool same = std::abs(many - few) <= 1e-4 * std::max(std::abs(many), std::abs(few));
    return same ? larger : batch_size;
  } catch (const Error&) {
    return batch_size;
  }
}

}  // namespace onnxrun
