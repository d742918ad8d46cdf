// Convolutions of bytes with few output channels, whose words (byte_dots.h) are read where they
// lie.
//
// A word is what neighbouring positions of the kernel's last axis meet: neighbouring bytes of a
// padded plane (flat_windows.h). Of t terms each, the words from one byte on are those of every
// t-th window (or as many fewer as windows are apart); together with those from where the windows
// between begin, they are the words of all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/byte_dots.h"
#include "kernels/byte_sums.h"
#include "kernels/flat_windows.h"

namespace onnxrun {

// Planes as they are laid out for these products.
std::optional<FlatWindows> neighbour_windows(const Window& w, int64_t channels,
                                             FlatWindows::Limits limits, Dots dots);
// Fills them with unsigned bytes: channels * f.plane_size() + neighbour_slack.
constexpr int64_t neighbour_slack = 2 * FlatWindows::slack;
void pack_planes(const FlatWindows& f, const Bytes& x, int64_t channels, uint8_t padding,
                 uint8_t* planes);

// How the windows of a group of channels are cut into words.
class NeighbourWords {
 public:
  NeighbourWords(const Window& w, int64_t channels, const FlatWindows& flat, Dots dots);

  Dots dots() const { return dots_; }
  // Words of a window.
  int64_t size() const { return static_cast<int64_t>(at_.size()); }
  // What, besides their shape, the packed weights depend on.
  const std::string& layout() const { return layout_; }
  // One output channel's weights, moved to be signed, to size() words. Returns their sum.
  int32_t pack(const Bytes& w, int32_t* words) const;

  // From a window's words to the next one's.
  int64_t step() const { return step_; }
  // Where the words of window 0 begin in the planes.
  const int64_t* at() const { return at_.data(); }
  // Weights that are all 1.
  const int32_t* ones() const { return ones_.data(); }

 private:
  Dots dots_;
  int64_t channels_, step_;
  std::vector<int64_t> at_;
  std::vector<int64_t> places_;  // in the words of a channel, of the kernel's positions
  std::vector<int32_t> ones_;
  std::string layout_;
};

// The sums of one output channel, sum(weights * window) + add + zero * sum(window). Planes hold
// unsigned bytes. Columns are flat indices; what is written behind the
// last one is less than neighbour_slack.
struct NeighbourSums {
  const NeighbourWords& words;
  const uint8_t* planes;
  const int32_t* weights;
  int32_t add, zero;
};
void sum_neighbours(const NeighbourSums& n, int64_t begin, int64_t columns, int32_t* y);
// As requantize(), which n.add replaces the bias for.
void quantize_neighbours(const NeighbourSums& n, const Requantization& r, int64_t begin,
                         int64_t columns, uint8_t* y);

// f.unpack_output().
void unpack_bytes(const FlatWindows& f, const uint8_t* flat, int64_t at, int64_t size, uint8_t* y);

}  // namespace onnxrun
