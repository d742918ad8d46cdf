#include "latencies.h"

#include <algorithm>
#include <cmath>

namespace onnxrun::tool {

namespace {

constexpr size_t most_kept = size_t{1} << 20;
constexpr int64_t fewest_to_judge = 10;

double percentile_of(std::vector<double> times, double p) {
  if (times.empty()) return 0;
  std::sort(times.begin(), times.end());
  double at = p / 100 * static_cast<double>(times.size() - 1);
  auto low = static_cast<size_t>(at);
  size_t high = std::min(low + 1, times.size() - 1);
  return times[low] + (at - static_cast<double>(low)) * (times[high] - times[low]);
}

}  // namespace

void Latencies::add(double seconds) {
  min_ = count_ == 0 ? seconds : std::min(min_, seconds);
  max_ = std::max(max_, seconds);
  sum_ += seconds;
  if (count_++ % stride_ == 0) times_.push_back(seconds);
  if (times_.size() < most_kept) return;
  for (size_t i = 0; i < times_.size() / 2; ++i) times_[i] = times_[2 * i];
  times_.resize(times_.size() / 2);
  stride_ *= 2;
}

void Latencies::add(const Latencies& others) {
  if (others.count_ == 0) return;
  min_ = count_ == 0 ? others.min_ : std::min(min_, others.min_);
  max_ = std::max(max_, others.max_);
  sum_ += others.sum_;
  count_ += others.count_;
  times_.insert(times_.end(), others.times_.begin(), others.times_.end());
}

double Latencies::percentile(double p) const { return percentile_of(times_, p); }

bool Latencies::is_stable() const {
  if (count_ < fewest_to_judge) return true;
  double median = percentile(50);
  if (percentile(90) > 1.5 * median) return false;
  auto half = times_.begin() + static_cast<std::ptrdiff_t>(times_.size() / 2);
  double first = percentile_of({times_.begin(), half}, 50);
  double second = percentile_of({half, times_.end()}, 50);
  return std::abs(first - second) <= 0.1 * median;
}

}  // namespace onnxrun::tool
