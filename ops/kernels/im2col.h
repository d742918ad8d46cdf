// Convolution as a matrix product: the matrix of windows, and back.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "base/work.h"
#include "kernels/window.h"

namespace onnxrun {

inline constexpr size_t max_spatial_axes = 8;

// A piece of a row of the window matrix that lies on one line of the innermost axis.
struct Stretch {
  int64_t row;                    // channel * kernel size + position in the kernel
  int64_t column;                 // counted from the first column asked for
  int64_t before, inside, after;  // elements in the padding, in the input, and again in the padding
  int64_t input;                  // where the first element inside lies in the channels' input
};

namespace detail {

// Walks over the lines of one position in the kernel.
class LineWalk {
 public:
  LineWalk(const Window& w, const std::array<int64_t, max_spatial_axes>& tap)
      : w_(w), inner_(w.rank() - 1) {
    int64_t stride = w.input[inner_];
    for (size_t i = inner_; i-- > 0;) {
      strides_[i] = stride;
      stride *= w.input[i];
    }
    for (size_t i = 0; i < w.rank(); ++i) shift_[i] = tap[i] * w.dilations[i] - w.pads[i];
    int64_t step = w.strides[inner_], length = w.output[inner_], s = shift_[inner_];
    first_ = s >= 0 ? 0 : std::min(length, (-s + step - 1) / step);
    int64_t room = w.input[inner_] - s;
    last_ = room <= 0 ? first_ : std::clamp((room + step - 1) / step, first_, length);
  }

  void start(int64_t line) {
    for (size_t i = inner_; i-- > 0;) {
      index_[i] = line % w_.output[i];
      line /= w_.output[i];
    }
  }
  void next() {
    for (size_t i = inner_; i-- > 0;) {
      if (++index_[i] < w_.output[i]) return;
      index_[i] = 0;
    }
  }

  // Elements [begin, end) of the current line.
  void cut(int64_t begin, int64_t end, Stretch& s) const {
    int64_t offset = 0;
    bool inside = true;
    for (size_t i = 0; i < inner_; ++i) {
      int64_t at = index_[i] * w_.strides[i] + shift_[i];
      inside &= at >= 0 && at < w_.input[i];
      offset += at * strides_[i];
    }
    int64_t first = std::clamp(first_, begin, end), last = std::clamp(last_, begin, end);
    if (!inside) first = last = end;
    s.before = first - begin;
    s.inside = last - first;
    s.after = end - last;
    s.input = offset + first * w_.strides[inner_] + shift_[inner_];
  }

 private:
  const Window& w_;
  size_t inner_;
  std::array<int64_t, max_spatial_axes> shift_{}, strides_{}, index_{};
  int64_t first_, last_;
};

}  // namespace detail

// Calls f(Stretch) for columns [begin, end) of all rows of `channels` channels.
template <typename F>
void for_each_stretch(const Window& w, int64_t channels, int64_t begin, int64_t end, const F& f) {
  if (begin >= end || channels == 0) return;
  int64_t length = w.output.back(), taps = w.kernel_size(), plane = w.input_size();
  std::array<int64_t, max_spatial_axes> tap{};
  for (int64_t t = 0; t < taps; ++t) {
    check_work();
    detail::LineWalk walk(w, tap);
    for (int64_t c = 0; c < channels; ++c) {
      Stretch s{};
      s.row = c * taps + t;
      walk.start(begin / length);
      for (int64_t at = begin; at < end; walk.next()) {
        int64_t from = at % length, to = std::min(length, from + end - at);
        walk.cut(from, to, s);
        s.column = at - begin;
        s.input += c * plane;
        f(s);
        at += to - from;
      }
    }
    for (size_t i = w.rank(); i-- > 0;) {
      if (++tap[i] < w.kernel[i]) break;
      tap[i] = 0;
    }
  }
}

// Columns [begin, end) of the window matrix [channels * kernel size, output size] of `x`; rows lie
// `ld` apart. Positions outside of the input are `padding`.
template <typename T>
void im2col(const Window& w, const T* x, int64_t channels, int64_t begin, int64_t end, T* out,
            int64_t ld, T padding = T{0}) {
  int64_t step = w.strides.back();
  for_each_stretch(w, channels, begin, end, [&](const Stretch& s) {
    T* to = out + s.row * ld + s.column;
    std::fill_n(to, s.before, padding);
    to += s.before;
    if (s.inside > 0) {
      const T* from = x + s.input;
      if (step == 1) {
        std::memcpy(to, from, static_cast<size_t>(s.inside) * sizeof(T));
      } else {
        for (int64_t i = 0; i < s.inside; ++i) to[i] = from[i * step];
      }
    }
    std::fill_n(to + s.inside, s.after, padding);
  });
}

// Adds every element of the window matrix to the element of `x` it was read from.
template <typename T>
void col2im(const Window& w, const T* columns, int64_t ld, int64_t channels, int64_t begin,
            int64_t end, T* x) {
  int64_t step = w.strides.back();
  for_each_stretch(w, channels, begin, end, [&](const Stretch& s) {
    if (s.inside == 0) return;
    const T* from = columns + s.row * ld + s.column + s.before;
    T* to = x + s.input;
    for (int64_t i = 0; i < s.inside; ++i) to[i * step] += from[i];
  });
}

}  // namespace onnxrun
