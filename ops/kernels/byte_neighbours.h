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

#include "kernels/byte_sums.h"
#include "kernels/flat_windows.h"
#include "kernels/window_words.h"

namespace onnxrun {

// Planes as they are laid out for these products.
std::optional<FlatWindows> neighbour_windows(const Window& w, int64_t channels,
                                             FlatWindows::Limits limits, Dots dots);

// How the windows of a group of channels are cut into words.
class NeighbourWords : public WindowWords {
 public:
  NeighbourWords(const Window& w, int64_t channels, const FlatWindows& flat, Dots dots);

  // What, besides their shape, the packed weights depend on.
  const std::string& layout() const { return name_; }
  // From a window's words to the next one's.
  int64_t step() const { return step_; }

 private:
  static Layout layout_of(const Window& w, int64_t channels, const FlatWindows& flat, Dots dots);

  int64_t step_;
  std::string name_;
};

// The sums of one output channel, sum(weights * window) + add + zero * sum(window). Planes hold
// unsigned bytes (byte_lines.h). Columns are flat indices; what is written behind the last one is
// less than neighbour_slack.
constexpr int64_t neighbour_slack = 2 * FlatWindows::slack;
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

}  // namespace onnxrun
