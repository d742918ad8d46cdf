#include "sets/augment.h"

#include <cstring>
#include <vector>

#include "base/random.h"

namespace onnxrun {

namespace {

// The order of the samples has the seed itself.
constexpr uint64_t other_seed = 0x9e3779b97f4a7c15;

// A sample is [outer, height, width, inner] with elements of `bytes`.
struct SampleLayout {
  int64_t outer = 1, height = 1, width = 1, inner = 1, bytes = 1;

  SampleLayout(const Tensor& sample, int64_t height_axis) : bytes(bits_of(sample.dtype()) / 8) {
    for (int64_t axis = 0; axis < sample.rank(); ++axis) {
      int64_t& part = axis < height_axis        ? outer
                      : axis == height_axis     ? height
                      : axis == height_axis + 1 ? width
                                                : inner;
      part *= sample.dim(axis);
    }
  }
  int64_t pixel() const { return inner * bytes; }
};

struct Move {
  int64_t down, right;
  bool mirrored;
};

// What stays is overwritten from `from`, a copy; the rest is from `fill`.
void change(const SampleLayout& l, Move move, const std::byte* from, const std::byte* fill,
            std::byte* to) {
  const auto pixel = static_cast<size_t>(l.pixel());
  for (int64_t row = 0; row < l.outer * l.height; ++row) {
    int64_t y = row % l.height, from_y = y - move.down;
    for (int64_t x = 0; x < l.width; ++x) {
      int64_t from_x = x - move.right;
      bool inside = from_y >= 0 && from_y < l.height && from_x >= 0 && from_x < l.width;
      if (move.mirrored) from_x = l.width - 1 - from_x;
      int64_t at = row * l.width + x;
      int64_t there = inside ? (row - move.down) * l.width + from_x : at;
      std::memcpy(to + at * l.pixel(), (inside ? from : fill) + there * l.pixel(), pixel);
    }
  }
}

}  // namespace

void augment_batch(const Augment& augment, std::span<const int64_t> samples, uint64_t seed,
                   uint64_t epoch, Tensor& batch) {
  const SampleLayout layout(augment.fill, augment.height_axis);
  const auto bytes = static_cast<size_t>(augment.fill.bytes());
  const Philox random(seed ^ other_seed, epoch);
  const auto choices = static_cast<uint64_t>(2 * augment.shift + 1);
  std::vector<std::byte> copy(bytes);
  std::byte* sample = batch.raw();
  for (int64_t number : samples) {
    auto at = 3 * static_cast<uint64_t>(number);
    Move move{static_cast<int64_t>(random.below(at, choices)) - augment.shift,
              static_cast<int64_t>(random.below(at + 1, choices)) - augment.shift,
              augment.flip && random.below(at + 2, 2) == 1};
    std::memcpy(copy.data(), sample, bytes);
    change(layout, move, copy.data(), augment.fill.raw(), sample);
    sample += bytes;
  }
}

}  // namespace onnxrun
