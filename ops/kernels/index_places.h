// Where in a tensor indices point: what gathering and scattering by index have in common.
#pragma once

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/shape.h"
#include "graph/op.h"
#include "kernels/data_movement.h"

namespace onnxrun {

[[noreturn]] void fail_index(int64_t index, int64_t length);

// An index into an axis of the given length, counted from the front. Throws BadInput if out of
// range.
template <typename I>
[[gnu::always_inline]] inline int64_t checked_index(I index, int64_t length) {
  auto at = static_cast<int64_t>(index);
  if (at < -length || at >= length) fail_index(at, length);
  return at < 0 ? at + length : at;
}

// GatherElements, ScatterElements: an index for each element; it replaces the element's own place
// along one axis. All axes but that must not be longer than the data's.
class ElementPlaces {
 public:
  ElementPlaces(std::span<const int64_t> data, std::span<const int64_t> indices, int64_t axis);

  int64_t count() const { return rows_ * row_; }
  // How many elements lie at a place.
  int64_t block() const { return 1; }

  // Calls f(k, offset in the data) for the places k in [begin, end).
  template <typename I, typename F>
  void for_each(const I* indices, int64_t begin, int64_t end, const F& f) const {
    for (int64_t k = begin; k < end;) {
      int64_t row = k / row_, column = k % row_;
      int64_t stop = std::min(row_, column + end - k);
      int64_t base = 0;
      for (const auto& [length, stride] : outer_) {
        base += row % length * stride;
        row /= length;
      }
      for (; column < stop; ++column, ++k) {
        f(k, base + column * step_ + checked_index(indices[k], length_) * stride_);
      }
    }
  }

 private:
  int64_t length_, stride_;                // of the axis, in the data
  int64_t rows_ = 1, row_ = 1, step_ = 1;  // the indices' innermost axis, and all others
  std::vector<std::pair<int64_t, int64_t>>
      outer_;  // of the others, innermost first: length, stride in data
};

// GatherND, ScatterND: tuples of indices that name a block each, after `batch` axes that data and
// indices share.
class TuplePlaces {
 public:
  TuplePlaces(std::span<const int64_t> data, std::span<const int64_t> indices, int64_t batch);

  int64_t count() const { return count_; }
  int64_t block() const { return block_; }

  template <typename I, typename F>
  void for_each(const I* indices, int64_t begin, int64_t end, const F& f) const {
    for (int64_t k = begin; k < end; ++k) {
      const I* tuple = indices + k * static_cast<int64_t>(axes_.size());
      int64_t offset = k / per_batch_ * batch_stride_;
      for (size_t i = 0; i < axes_.size(); ++i) {
        offset += checked_index(tuple[i], axes_[i].first) * axes_[i].second;
      }
      f(k, offset);
    }
  }

 private:
  int64_t count_ = 1, block_ = 1, per_batch_ = 1, batch_stride_ = 0;
  std::vector<std::pair<int64_t, int64_t>> axes_;  // those that tuples index: length, stride
};

template <typename Places>
struct PlacesState final : KernelState {
  explicit PlacesState(Places p) : places(std::move(p)) {}
  Places places;
};

}  // namespace onnxrun
