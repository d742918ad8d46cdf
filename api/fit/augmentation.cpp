#include "fit/augmentation.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/name_list.h"

namespace onnxrun {

namespace {

bool counts_channels(int64_t length) { return length == 1 || length == 3 || length == 4; }

// Of a sample [height, width], [channels, height, width] or [height, width, channels].
std::optional<int64_t> height_axis_of(const Dims& sample) {
  if (sample.size() == 2) return 0;
  if (sample.size() != 3) return std::nullopt;
  if (counts_channels(sample[0])) return 1;
  return counts_channels(sample[2]) ? std::optional<int64_t>(0) : std::nullopt;
}

Dims sample_of(const DataArray& array) {
  return Dims(array.dims().begin() + 1, array.dims().end());
}

bool are_pictures(const ModelData& data, size_t k) {
  const DataArray& array = data.set.arrays()[k];
  return !data.set.prebatched() && array.batch_axis == 0 && array.rank() > 0 &&
         bits_of(array.dtype()) >= 8 && array.dtype() != DType::String &&
         height_axis_of(sample_of(array)).has_value();
}

size_t only_pictures(const ModelData& data) {
  std::vector<std::string> names;
  size_t found = 0;
  for (size_t k = 0; k < data.inputs.size(); ++k) {
    if (!are_pictures(data, k)) continue;
    names.push_back(data.inputs[k]);
    found = k;
  }
  if (names.empty()) {
    fail(ErrorKind::BadInput,
         "augment: no input's samples are pictures ([height,width] or that with 1, 3 or 4 channels "
         "in front or at the end)");
  }
  if (names.size() > 1) {
    fail(ErrorKind::Usage, "augment: several inputs have pictures: {}", name_list(names));
  }
  return found;
}

size_t named_input(const ModelData& data, const std::string& name) {
  auto it = std::find(data.inputs.begin(), data.inputs.end(), name);
  if (it == data.inputs.end()) {
    fail(ErrorKind::Usage, "augment: there is no input '{}'; there are {}", name,
         name_list(data.inputs));
  }
  auto k = static_cast<size_t>(it - data.inputs.begin());
  if (!are_pictures(data, k)) {
    fail(ErrorKind::BadInput,
         "augment: input '{}' is {}, whose samples are no pictures ([height,width] or that with 1, "
         "3 or 4 channels in front or at the end)",
         name, data.set.arrays()[k].type_text());
  }
  return k;
}

// What zeros have become.
Tensor background(const ModelData& data, size_t k) {
  const DataArray& array = data.set.arrays()[k];
  Tensor zeros(DType::Float64, sample_of(array));
  std::fill_n(zeros.data<double>(), zeros.size(), 0.0);
  auto it = data.prepared.find(data.inputs[k]);
  return convert(it == data.prepared.end() ? zeros : it->second.apply(zeros), array.dtype());
}

}  // namespace

std::vector<Augment> augments_for(const std::map<std::string, Augmentation>& options,
                                  const ModelData& data) {
  std::vector<Augment> all;
  for (const auto& [name, asked] : options) {
    size_t k = name.empty() ? only_pictures(data) : named_input(data, name);
    Dims sample = sample_of(data.set.arrays()[k]);
    int64_t height = *height_axis_of(sample);
    int64_t smaller =
        std::min(sample[static_cast<size_t>(height)], sample[static_cast<size_t>(height) + 1]);
    if (asked.shift < 0 || asked.shift >= std::max<int64_t>(smaller, 1)) {
      fail(ErrorKind::Usage, "augment: pictures of {} are not moved by {} pixels",
           to_string(sample), asked.shift);
    }
    bool again =
        std::any_of(all.begin(), all.end(), [&](const Augment& a) { return a.array == k; });
    if (again) fail(ErrorKind::Usage, "augment: input '{}' is named twice", data.inputs[k]);
    all.push_back({k, asked.shift, asked.flip, height, background(data, k)});
  }
  return all;
}

}  // namespace onnxrun
