#include "kernels/shape_rules.h"

#include <algorithm>

namespace onnxrun {

int64_t checked_axis(const InferContext& c, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    c.reject("axis {} is not in [{}, {}), as the rank is {}", axis, -rank, rank, rank);
  }
  return axis < 0 ? axis + rank : axis;
}

std::vector<int64_t> checked_axes(const InferContext& c, std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes) axis = checked_axis(c, axis, rank);
  std::vector<int64_t> sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) c.reject("axes {} name axis {} twice", to_string(axes), *twice);
  return axes;
}

std::optional<int64_t> list_length(const InferContext& c, size_t i) {
  const Shape* shape = c.shape(i);
  if (!shape || shape->size() != 1 || !(*shape)[0].is_known()) return std::nullopt;
  return (*shape)[0].value();
}

std::optional<Shape> requested_shape(const InferContext& c, size_t i) {
  if (const Shape* list = c.shape(i); list && list->size() != 1) {
    c.reject("a shape is a list of lengths, {}", c.describe_input(i));
  }
  std::optional<Shape> shape;
  if (auto content = c.content(i)) {
    shape = std::move(*content);
  } else if (auto values = c.ints(i)) {
    shape = to_shape(*values);
  } else if (auto length = list_length(c, i); length && *length <= 64) {
    shape = unknown_shape(*length);
  }
  return shape;
}

std::optional<Shape> requested_lengths(const InferContext& c, size_t i) {
  std::optional<Shape> shape = requested_shape(c, i);
  if (!shape) return shape;
  for (const Dim& d : *shape) {
    if (d.is_known() && d.value() < 0)
      c.reject("shape {} has a negative length", to_string(*shape));
  }
  return shape;
}

void check_element_indices(const InferContext& c, const Shape& data, const Shape& indices,
                           int64_t axis) {
  bool fits = data.size() == indices.size() && !data.empty();
  size_t a =
      fits ? static_cast<size_t>(checked_axis(c, axis, static_cast<int64_t>(data.size()))) : 0;
  for (size_t i = 0; i < data.size() && fits; ++i) {
    bool longer = i != a && data[i].is_known() && indices[i].is_known() &&
                  indices[i].value() > data[i].value();
    fits = !longer;
  }
  if (!fits) c.reject("indices {} do not fit data {}", to_string(indices), to_string(data));
}

void set_output_with_content(InferContext& c, DType dtype, std::optional<Shape> shape) {
  bool list = shape && shape->size() <= 1 && dtypes::index.contains(dtype);
  c.set_output(0, dtype, std::move(shape));
  if (!list) return;
  if (auto content = c.content(0)) c.set_content(0, std::move(*content));
}

}  // namespace onnxrun
