#include "kernels/resampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace onnxrun {

namespace {

double source(const std::string& how, const ResampledAxis& a, double x) {
  double in = static_cast<double>(a.in), width = a.scale * in;
  if (how == "align_corners") return width == 1 ? 0 : x * (in - 1) / (width - 1);
  if (how == "asymmetric") return x / a.scale;
  if (how == "tf_half_pixel_for_nn") return (x + 0.5) / a.scale;
  if (how == "tf_crop_and_resize") {
    double span = (a.roi_end - a.roi_begin) * (in - 1), start = a.roi_begin * (in - 1);
    return width == 1 ? start + span / 2 : start + x * span / (width - 1);
  }
  if (how == "pytorch_half_pixel" && a.out <= 1) return 0;
  double centred = (x + 0.5) / a.scale - 0.5;
  if (how != "half_pixel_symmetric") return centred;
  return centred + in / 2 * (1 - static_cast<double>(a.out) / width);
}

double nearest(const std::string& how, double x) {
  double below = std::floor(x), rest = x - below;
  if (rest == 0 || how == "floor") return below;
  if (how == "ceil") return below + 1;
  return rest < 0.5 || (rest == 0.5 && how == "round_prefer_floor") ? below : below + 1;
}

// Keys 1981, "Cubic convolution interpolation for digital image processing", equation 4.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

// Weights of the places around x: those within `reach` of it, stretched where antialiasing shrinks.
void add_filter(const Resampling& how, const ResampledAxis& axis, double x, Taps& taps) {
  bool is_cubic = how.mode == "cubic";
  double stretch = how.antialias ? std::min(axis.scale, 1.0) : 1;
  double reach = is_cubic ? 2 : 1;
  double base = std::ceil(x) - 1, start = std::floor(-reach / stretch) + 1;
  auto first = static_cast<size_t>(taps.begin.back());
  double total = 0, last = static_cast<double>(axis.in - 1);
  for (double i = start; i < 2 - start; ++i) {
    double at = base + i, distance = (at - x) * stretch;
    double w = is_cubic ? cubic(distance, how.cubic_a) : std::max(0.0, 1 - std::abs(distance));
    if (w == 0 || (how.exclude_outside && (at < 0 || at > last))) continue;
    auto place = static_cast<int64_t>(std::clamp(at, 0.0, last));
    total += w;
    if (taps.place.size() > first && taps.place.back() == place) {
      taps.weight.back() += w;
    } else {
      taps.place.push_back(place);
      taps.weight.push_back(w);
    }
  }
  bool normalised = how.antialias || how.exclude_outside;
  for (size_t k = first; normalised && total != 0 && k < taps.weight.size(); ++k) {
    taps.weight[k] /= total;
  }
}

}  // namespace

Taps taps_of(const Resampling& how, const ResampledAxis& axis) {
  Taps taps;
  taps.inputs = axis.in;
  double last = static_cast<double>(axis.in - 1);
  bool crops = how.coordinates == "tf_crop_and_resize";
  for (int64_t o = 0; o < axis.out; ++o) {
    double x = source(how.coordinates, axis, static_cast<double>(o));
    bool outside = crops && !(x >= 0 && x <= last);
    // Far outside all places are the edge.
    x = std::clamp(x, -4.0 - last, 4.0 + 2 * last);
    taps.outside.push_back(outside);
    if (!outside && how.mode == "nearest") {
      double at = std::clamp(nearest(how.nearest_mode, x), 0.0, last);
      taps.place.push_back(static_cast<int64_t>(at));
      taps.weight.push_back(1);
    } else if (!outside) {
      add_filter(how, axis, x, taps);
    }
    taps.begin.push_back(static_cast<int64_t>(taps.place.size()));
  }
  return taps;
}

Taps Taps::transposed() const {
  Taps result;
  result.inputs = outputs();
  result.begin.assign(static_cast<size_t>(inputs) + 1, 0);
  result.outside.assign(static_cast<size_t>(inputs), 0);
  for (int64_t p : place) ++result.begin[static_cast<size_t>(p) + 1];
  std::partial_sum(result.begin.begin(), result.begin.end(), result.begin.begin());
  result.place.resize(place.size());
  result.weight.resize(place.size());
  std::vector<int64_t> at(result.begin.begin(), result.begin.end() - 1);
  for (int64_t o = 0; o < outputs(); ++o) {
    auto from = static_cast<size_t>(begin[static_cast<size_t>(o)]);
    auto to = static_cast<size_t>(begin[static_cast<size_t>(o) + 1]);
    for (size_t k = from; k < to; ++k) {
      auto slot = static_cast<size_t>(at[static_cast<size_t>(place[k])]++);
      result.place[slot] = o;
      result.weight[slot] = weight[k];
    }
  }
  return result;
}

}  // namespace onnxrun
