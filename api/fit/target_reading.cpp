#include "fit/target_reading.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace onnxrun {

namespace {

// Axes of length 1, and those of the samples and of classes, tell nothing.
Shape telling(const Shape& shape, int64_t samples_axis, int64_t class_axis = -1) {
  Shape result;
  for (size_t i = 0; i < shape.size(); ++i) {
    auto axis = static_cast<int64_t>(i);
    if (axis != samples_axis && axis != class_axis && !(shape[i] == Dim(1))) {
      result.push_back(shape[i]);
    }
  }
  return result;
}

bool agree(const Shape& a, const Shape& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Dim& x, const Dim& y) {
    return !x.is_known() || !y.is_known() || x == y;
  });
}

// Where the classes of each row are; -1 for a row that is not one-hot.
std::vector<int64_t> places(const Tensor& target, int64_t axis) {
  std::vector<double> values = to_doubles(target);
  int64_t classes = target.dim(axis), inner = 1;
  for (int64_t i = axis + 1; i < target.rank(); ++i) inner *= target.dim(i);
  std::vector<int64_t> result;
  for (int64_t row = 0; row < target.size() / std::max<int64_t>(classes, 1); ++row) {
    const double* v = values.data() + (row / inner) * classes * inner + row % inner;
    int64_t place = -1;
    for (int64_t c = 0; c < classes; ++c) {
      double x = v[c * inner];
      bool one = x == 1;
      if ((x != 0 && !one) || (one && place >= 0)) {
        place = -1;
        break;
      }
      if (one) place = c;
    }
    result.push_back(place);
  }
  return result;
}

bool is_one_hot(const Tensor& target, int64_t axis) {
  std::vector<int64_t> rows = places(target, axis);
  return !rows.empty() && std::all_of(rows.begin(), rows.end(), [](int64_t c) { return c >= 0; });
}

bool are_whole(const Tensor& target) {
  std::vector<double> values = to_doubles(target);
  return std::all_of(values.begin(), values.end(),
                     [](double v) { return v == std::floor(v) && v >= 0 && v < 9e15; });
}

}  // namespace

TargetReading read_target(const Type& output, const Tensor& target, int64_t samples_axis) {
  using Kind = TargetReading::Kind;
  bool integers = is_integer(target.dtype());
  const TargetReading by_type{integers ? Kind::Classes : Kind::Numbers, {}};
  if (!output.shape || target.rank() <= samples_axis) return by_type;
  const Shape& shape = *output.shape;
  const Shape given = telling(to_shape(target.dims()), samples_axis);
  std::vector<int64_t> axes, sure;
  for (int64_t axis = 0; axis < output.rank(); ++axis) {
    const Dim& length = shape[static_cast<size_t>(axis)];
    if (axis == samples_axis || length == Dim(1)) continue;
    if (!agree(telling(shape, samples_axis, axis), given)) continue;
    axes.push_back(axis);
    if (length.is_known()) sure.push_back(axis);
  }
  bool elements = agree(telling(shape, samples_axis), given);
  if (axes.empty() != elements) return by_type;
  if (!elements) {
    TargetReading reading{integers || are_whole(target) ? Kind::Classes : Kind::Numbers, {}};
    if (sure.size() == 1) reading.class_axis = sure[0];
    return reading;
  }
  for (int64_t axis = 0; axis < target.rank(); ++axis) {
    bool rows = axis != samples_axis && target.dim(axis) > 1 && is_one_hot(target, axis);
    if (!rows) continue;
    TargetReading reading{Kind::OneHot, axis};
    if (target.rank() == output.rank()) reading.class_axis = axis;
    return reading;
  }
  return {Kind::Numbers, {}};
}

Tensor classes_of_rows(const std::string& name, const Tensor& target, int64_t axis) {
  std::vector<int64_t> rows = places(target, axis);
  auto none = std::find(rows.begin(), rows.end(), -1);
  if (none != rows.end()) {
    fail(ErrorKind::BadInput, "target '{}': row {} is not one-hot, but this loss takes classes",
         name, none - rows.begin());
  }
  Dims dims = target.dims();
  dims.erase(dims.begin() + axis);
  return Tensor::of<int64_t>(dims, rows);
}

}  // namespace onnxrun
