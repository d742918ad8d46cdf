#include "fit/sample_shape.h"

#include <algorithm>
#include <cctype>

#include "base/unit_axes.h"

namespace onnxrun {

namespace {

bool fits(const Shape& shape, const Dims& dims) {
  return std::equal(shape.begin(), shape.end(), dims.begin(), dims.end(),
                    [](const Dim& a, int64_t b) { return !a.is_known() || a.value() == b; });
}

}  // namespace

std::optional<Dims> reshaped_samples(const Type& input, const Dims& array) {
  if (!input.shape || input.shape->empty() || array.empty()) return std::nullopt;
  const Shape sample(input.shape->begin() + 1, input.shape->end());
  const Dims given(array.begin() + 1, array.end());
  bool as_it_is = fits(sample, given) || fits(*input.shape, given);
  if (as_it_is || !all_known(sample)) return std::nullopt;
  Dims wanted = to_dims(sample);
  if (element_count(std::span(wanted)) != element_count(std::span(given))) return std::nullopt;
  Dims a = without_unit_axes(wanted), b = without_unit_axes(given);
  if (a != b && a.size() > 1 && b.size() > 1) return std::nullopt;
  wanted.insert(wanted.begin(), array[0]);
  return wanted;
}

std::optional<int64_t> named_batch_axis(const Type& type) {
  std::optional<int64_t> found;
  for (int64_t axis = 0; axis < type.rank(); ++axis) {
    const Dim& d = (*type.shape)[static_cast<size_t>(axis)];
    if (!d.is_symbolic()) continue;
    std::string name = d.to_string();
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    bool is_batch = name == "n" || name == "batch" || name == "batch_size" || name == "batchsize" ||
                    name == "bs";
    if (!is_batch) continue;
    if (found) return std::nullopt;
    found = axis;
  }
  return found;
}

}  // namespace onnxrun
