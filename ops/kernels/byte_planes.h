// Convolutions of bytes with many channels, whose words (byte_dots.h) are those of a pixel.
//
// A word holds what one position of the kernel meets in as many channels as it has terms. Planes of
// such words are made once, whereas a word of several positions is another one for each of them.
#pragma once

#include <cstdint>

#include "kernels/flat_windows.h"
#include "kernels/window_words.h"

namespace onnxrun {

// The planes of a group of channels, and the words that its windows meet there.
class BytePlanes : public WindowWords {
 public:
  BytePlanes(int64_t channels, const FlatWindows& flat, Dots dots);

  // Whether channels fill their words so far that windows of `taps` positions take less time than
  // with words of several positions each.
  static bool fit(int64_t channels, int64_t taps, int64_t outputs, Dots dots);

  // Words of all planes, with what kernels read behind them.
  int64_t words() const { return groups_ * plane_ + 2 * FlatWindows::slack; }
  // Makes them of x's channels.
  void fill(const FlatWindows& flat, const Bytes& x, uint8_t padding, int32_t* words) const;

 private:
  static Layout layout_of(int64_t channels, const FlatWindows& flat, Dots dots);

  int64_t channels_, groups_, plane_;
};

}  // namespace onnxrun
