#include "kernels/im2col.h"

#include <algorithm>
#include <cassert>

namespace onnxrun {

namespace {

// `count` neighbouring windows read neighbours along the last axis, the first of them x[input]; or
// padding, if input is -1.
struct Run {
  int64_t window, count, input;
};

// Calls f(Run) on runs that cover windows [begin, end) at element `offset` of the kernel.
template <typename F>
void for_each_run(const Window& w, int64_t offset, int64_t begin, int64_t end, const F& f) {
  auto last = static_cast<int64_t>(w.rank()) - 1;
  auto at = [](const Dims& dims, int64_t axis) { return dims[static_cast<size_t>(axis)]; };
  // Where the window that starts at 0 reads axis i.
  auto shift = [&](int64_t axis, int64_t t) {
    return t * at(w.dilations, axis) - at(w.pads, axis);
  };
  int64_t length = at(w.output, last), stride = at(w.strides, last);
  int64_t last_shift = shift(last, offset % at(w.kernel, last));
  int64_t room = at(w.input, last) - last_shift;
  int64_t low = last_shift >= 0 ? 0 : (-last_shift + stride - 1) / stride;
  int64_t high = room <= 0 ? 0 : (room - 1) / stride + 1;

  for (int64_t window = begin; window < end;) {
    int64_t outer = window / length, first = window % length;
    int64_t stop = std::min(length, first + (end - window));
    int64_t base = 0, rest = outer, t = offset / at(w.kernel, last), step = at(w.input, last);
    for (int64_t axis = last - 1; axis >= 0 && base >= 0; --axis) {
      int64_t position =
          rest % at(w.output, axis) * at(w.strides, axis) + shift(axis, t % at(w.kernel, axis));
      bool inside = position >= 0 && position < at(w.input, axis);
      base = inside ? base + position * step : -1;
      rest /= at(w.output, axis);
      t /= at(w.kernel, axis);
      step *= at(w.input, axis);
    }
    int64_t from = base < 0 ? stop : std::clamp(low, first, stop);
    int64_t to = base < 0 ? stop : std::clamp(high, from, stop);
    if (from > first) f(Run{window, from - first, -1});
    if (to > from) f(Run{window + from - first, to - from, base + from * stride + last_shift});
    if (stop > to) f(Run{window + to - first, stop - to, -1});
    window += stop - first;
  }
}

}  // namespace

template <typename T>
void im2col(const Window& w, int64_t channels, const T* x, int64_t begin, int64_t end, T padding,
            T* columns) {
  assert(w.rank() >= 1);
  int64_t stride = w.strides.back(), kernel_size = w.kernel_size(), input_size = w.input_size();
  for (int64_t row = 0; row < channels * kernel_size; ++row) {
    const T* channel = x + row / kernel_size * input_size;
    T* out = columns + row * (end - begin);
    for_each_run(w, row % kernel_size, begin, end, [&](const Run& run) {
      T* to = out + (run.window - begin);
      if (run.input < 0) {
        std::fill(to, to + run.count, padding);
      } else if (stride == 1) {
        std::copy_n(channel + run.input, run.count, to);
      } else {
        for (int64_t i = 0; i < run.count; ++i) to[i] = channel[run.input + i * stride];
      }
    });
  }
}

template <typename T>
void col2im(const Window& w, int64_t channels, const T* columns, int64_t begin, int64_t end, T* x) {
  assert(w.rank() >= 1);
  int64_t stride = w.strides.back(), kernel_size = w.kernel_size(), input_size = w.input_size();
  for (int64_t row = 0; row < channels * kernel_size; ++row) {
    T* channel = x + row / kernel_size * input_size;
    const T* in = columns + row * (end - begin);
    for_each_run(w, row % kernel_size, begin, end, [&](const Run& run) {
      if (run.input < 0) return;
      const T* from = in + (run.window - begin);
      for (int64_t i = 0; i < run.count; ++i) channel[run.input + i * stride] += from[i];
    });
  }
}

#define ONNXRUN_IM2COL(T)                                                             \
  template void im2col<T>(const Window&, int64_t, const T*, int64_t, int64_t, T, T*); \
  template void col2im<T>(const Window&, int64_t, const T*, int64_t, int64_t, T*);
ONNXRUN_IM2COL(float)
ONNXRUN_IM2COL(double)
#undef ONNXRUN_IM2COL
// Integer and 16-bit convolutions have no gradient.
template void im2col<int8_t>(const Window&, int64_t, const int8_t*, int64_t, int64_t, int8_t,
                             int8_t*);
template void im2col<uint8_t>(const Window&, int64_t, const uint8_t*, int64_t, int64_t, uint8_t,
                              uint8_t*);
template void im2col<int32_t>(const Window&, int64_t, const int32_t*, int64_t, int64_t, int32_t,
                              int32_t*);

}  // namespace onnxrun
