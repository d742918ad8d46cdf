#include "onnxrun/learning_rate.h"

#include <cmath>
#include <memory>

#include "base/error.h"

namespace onnxrun {

namespace {

constexpr double smoothing = 0.98;
constexpr size_t left_out_first = 10, left_out_last = 1;

class Recorder final : public Callback {
 public:
  explicit Recorder(double diverged) : diverged_(diverged) {}

  void step_end(Fit& fit, const StepRecord& record) override {
    average_ = smoothing * average_ + (1 - smoothing) * record.loss;
    auto n = static_cast<double>(points.size() + 1);
    double smoothed = average_ / (1 - std::pow(smoothing, n));
    points.push_back({record.lr, record.loss, smoothed});
    if (points.size() == 1 || smoothed < best_) best_ = smoothed;
    if (points.size() > 1 && smoothed > diverged_ * best_ && best_ > 0) fit.stop();
  }

  std::vector<RateSweep::Point> points;

 private:
  double diverged_, average_ = 0, best_ = 0;
};

// Differences of both neighbours, at the ends of one (numpy.gradient).
double slope(const std::vector<RateSweep::Point>& p, size_t first, size_t last, size_t k) {
  if (k == first) return p[k + 1].smoothed - p[k].smoothed;
  if (k + 1 == last) return p[k].smoothed - p[k - 1].smoothed;
  return (p[k + 1].smoothed - p[k - 1].smoothed) / 2;
}

std::optional<double> steepest(const std::vector<RateSweep::Point>& points) {
  if (points.size() < left_out_first + left_out_last + 2) return std::nullopt;
  size_t last = points.size() - left_out_last, best = left_out_first;
  double lowest = 0;
  for (size_t k = left_out_first; k < last; ++k) {
    double s = slope(points, left_out_first, last, k);
    if (s >= lowest) continue;
    lowest = s;
    best = k;
  }
  return lowest < 0 ? std::optional(points[best].lr) : std::nullopt;
}

}  // namespace

RateSweep find_learning_rate(const Model& model, const NamedTensors& data, FitOptions options,
                             const SweepOptions& sweep) {
  bool is_range = sweep.from > 0 && sweep.to > sweep.from && std::isfinite(sweep.to);
  if (!is_range || sweep.steps < 2 || !(sweep.diverged > 1)) {
    fail(ErrorKind::Usage,
         "a sweep goes from a rate above 0 to a higher one in two steps or more, and diverges by a "
         "factor above 1");
  }
  auto recorder = std::make_shared<Recorder>(sweep.diverged);
  options.callbacks = {recorder};
  options.epochs = options.max_steps.emplace(sweep.steps);
  options.schedule = fmt::format("sweep:{}:{}", sweep.from, sweep.to);
  options.warmup = 0;
  options.metrics.clear();
  Fit training(model, data, std::move(options));
  try {
    training.run();
  } catch (const Error& e) {
    // Where the numbers leave the range of their type, the rates have been too high.
    if (e.kind() != ErrorKind::Numeric || recorder->points.empty()) throw;
  }
  return {recorder->points, steepest(recorder->points)};
}

}  // namespace onnxrun
