// Times of many runs, in bounded memory.
#pragma once

#include <cstdint>
#include <vector>

namespace onnxrun::tool {

// All times count in min, max and mean; percentiles come from evenly spaced ones once there are
// millions.
class Latencies {
 public:
  void add(double seconds);
  void add(const Latencies& others);

  int64_t count() const { return count_; }
  double min() const { return min_; }
  double max() const { return max_; }
  double mean() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }
  // Linear between the two nearest of the sorted times, as numpy.percentile; `p` from 0 to 100.
  double percentile(double p) const;
  // Whether the times hang together: no tenth of them takes half as long again as the median, and
  // the medians of both halves of the measuring lie within a tenth.
  bool is_stable() const;

 private:
  std::vector<double> times_;  // in the order of the runs
  int64_t count_ = 0, stride_ = 1;
  double sum_ = 0, min_ = 0, max_ = 0;
};

}  // namespace onnxrun::tool
