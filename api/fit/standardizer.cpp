#include "fit/standardizer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace onnxrun {

namespace {

// Element (o, s, k) of [outer, samples, inner] belongs to feature o * inner + k of sample s.
struct Layout {
  int64_t outer = 1, samples = 1, inner = 1;

  Layout(const Dims& dims, int64_t axis) {
    axis = normalize_axis(axis, static_cast<int64_t>(dims.size()));
    for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i) {
      int64_t d = dims[static_cast<size_t>(i)];
      (i < axis ? outer : i == axis ? samples : inner) *= d;
    }
  }
  int64_t features() const { return outer * inner; }

  template <typename F>
  void each(F&& visit) const {
    int64_t at = 0;
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t s = 0; s < samples; ++s) {
        for (int64_t k = 0; k < inner; ++k) visit(at++, static_cast<size_t>(o * inner + k));
      }
    }
  }
};

}  // namespace

Standardizer::Standardizer(const Tensor& mean, const Tensor& deviation)
    : dims_(mean.dims()), mean_(to_doubles(mean)), deviation_(to_doubles(deviation)) {}

namespace {

// Calls visit(values, layout) for the samples of array `a`, all at once or, where they stay in
// their file, part by part; sums over the samples have the same order.
template <typename Visit>
void each_part(const Dataset& data, size_t a, const Visit& visit) {
  const DataArray& array = data.arrays()[a];
  constexpr int64_t part_numbers = 1 << 20;
  int64_t samples = data.samples(), count = samples;
  if (array.reader) {
    int64_t each = std::max<int64_t>(element_count(array.dims()) / array.dims()[0], 1);
    count = std::clamp<int64_t>(part_numbers / each, 1, samples);
  }
  for (int64_t first = 0; first < samples; first += count) {
    std::vector<int64_t> chosen(static_cast<size_t>(std::min(count, samples - first)));
    std::iota(chosen.begin(), chosen.end(), first);
    Dims dims = array.dims();
    dims[static_cast<size_t>(array.batch_axis)] = static_cast<int64_t>(chosen.size());
    Tensor part(array.dtype(), dims);
    data.gather(a, chosen, part);
    visit(to_doubles(part), Layout(dims, array.batch_axis));
  }
}

}  // namespace

Standardizer Standardizer::fit(const Dataset& data, size_t a) {
  const DataArray& array = data.arrays()[a];
  auto n = static_cast<double>(data.samples());
  Standardizer s;
  s.dims_ = array.dims();
  s.dims_.erase(s.dims_.begin() + array.batch_axis);
  s.mean_.assign(static_cast<size_t>(element_count(s.dims_)), 0);
  s.deviation_ = s.mean_;
  each_part(data, a, [&](const std::vector<double>& values, const Layout& layout) {
    layout.each([&](int64_t i, size_t f) { s.mean_[f] += values[static_cast<size_t>(i)] / n; });
  });
  each_part(data, a, [&](const std::vector<double>& values, const Layout& layout) {
    layout.each([&](int64_t i, size_t f) {
      double d = values[static_cast<size_t>(i)] - s.mean_[f];
      s.deviation_[f] += d * d / n;
    });
  });
  for (double& d : s.deviation_) d = d > 0 ? std::sqrt(d) : 1;
  return s;
}

Tensor Standardizer::apply(const Tensor& values, int64_t axis) const {
  Tensor result = convert(values, DType::Float64).clone();
  Dims dims = values.dims();
  if (dims == dims_) dims.insert(dims.begin() + std::min(axis, values.rank()), 1);
  Layout layout(dims, axis);
  if (layout.features() != static_cast<int64_t>(mean_.size())) {
    fail(ErrorKind::BadInput, "standardize: samples have {} numbers, those of the training part {}",
         layout.features(), mean_.size());
  }
  double* x = result.data<double>();
  layout.each([&](int64_t i, size_t f) { x[i] = (x[i] - mean_[f]) / deviation_[f]; });
  return result;
}

std::string Standardizer::summary() const {
  if (mean_.empty()) return "nothing";
  auto [low_mean, high_mean] = std::minmax_element(mean_.begin(), mean_.end());
  auto [low, high] = std::minmax_element(deviation_.begin(), deviation_.end());
  return fmt::format("means {:.6g} to {:.6g}, deviations {:.6g} to {:.6g}", *low_mean, *high_mean,
                     *low, *high);
}

}  // namespace onnxrun
