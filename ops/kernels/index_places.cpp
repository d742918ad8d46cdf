#include "kernels/index_places.h"

namespace onnxrun {

void fail_index(int64_t index, int64_t length) {
  fail(ErrorKind::BadInput, "index {} is not in [{}, {})", index, -length, length);
}

ElementPlaces::ElementPlaces(std::span<const int64_t> data, std::span<const int64_t> indices,
                             int64_t axis) {
  auto a = static_cast<size_t>(normalize_axis(axis, static_cast<int64_t>(data.size())));
  std::vector<int64_t> strides = dense_strides(data);
  length_ = data[a];
  stride_ = strides[a];
  strides[a] = 0;
  row_ = indices.back();
  step_ = strides.back();
  for (size_t i = indices.size() - 1; i-- > 0;) {
    outer_.emplace_back(indices[i], strides[i]);
    rows_ *= indices[i];
  }
}

TuplePlaces::TuplePlaces(std::span<const int64_t> data, std::span<const int64_t> indices,
                         int64_t batch) {
  std::vector<int64_t> strides = dense_strides(data);
  auto first = static_cast<size_t>(batch);
  for (size_t i = 0; i + 1 < indices.size(); ++i) {
    count_ *= indices[i];
    if (i >= first) per_batch_ *= indices[i];
  }
  if (first > 0) batch_stride_ = strides[first - 1];
  size_t last = first + static_cast<size_t>(indices.back());
  for (size_t i = first; i < last; ++i) axes_.emplace_back(data[i], strides[i]);
  for (size_t i = last; i < data.size(); ++i) block_ *= data[i];
}

}  // namespace onnxrun
