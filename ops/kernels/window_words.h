// The words (byte_dots.h) that windows meet in planes, and weights that are laid out as these.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/byte_dots.h"

namespace onnxrun {

class WindowWords {
 public:
  Dots dots() const { return dots_; }
  // Words of a window.
  int64_t size() const { return static_cast<int64_t>(layout_.at.size()); }
  // Where the words of window 0 begin in the planes.
  const int64_t* at() const { return layout_.at.data(); }
  // One output channel's weights, moved to be signed, to size() words. Returns their sum.
  int32_t pack(const Bytes& w, int32_t* words) const;
  // Weights that are all 1.
  const int32_t* ones() const { return ones_.data(); }

 protected:
  struct Layout {
    std::vector<int64_t> at;
    // Of each weight, which of the words' terms it meets; those that none meets count for nothing.
    std::vector<int64_t> places;
  };
  WindowWords(Dots dots, Layout layout);

 private:
  Dots dots_;
  Layout layout_;
  std::vector<int32_t> ones_;
};

}  // namespace onnxrun
