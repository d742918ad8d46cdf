#include "kernels/channels_last_pooling.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/channels_last_pooling.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>
#include <span>

#include "base/threads.h"
#include "kernels/scratch.h"
#include "kernels/simd-inl.h"

#ifndef ONNXRUN_CHANNELS_LAST_POOLING
#define ONNXRUN_CHANNELS_LAST_POOLING
namespace onnxrun {

// A line of windows: where the lines begin that they meet, and their last axis.
struct PoolLine {
  std::span<const int64_t> lines;
  int64_t channels;
  int64_t input, output, kernel, stride, dilation, pad;
};

}  // namespace onnxrun
#endif

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <bool partial, typename T>
HWY_INLINE void max_vector(const PoolLine& p, const T* x, int64_t columns, T* y, size_t count) {
  const hn::ScalableTag<T> d;
  auto best = hn::Set(d, -std::numeric_limits<T>::infinity());
  for (int64_t line : p.lines) {
    const T* from = x + line;
    for (int64_t k = 0; k < columns; ++k, from += p.dilation * p.channels) {
      const auto v = partial ? load_first(d, from, count) : hn::LoadU(d, from);
      best = hn::IfThenElse(hn::Or(hn::Gt(v, best), hn::Not(hn::Eq(v, v))), v, best);
    }
  }
  partial ? store_first(d, best, y, count) : hn::StoreU(best, d, y);
}

template <typename T>
void max_line(const PoolLine& p, const T* x, T* y) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  for (int64_t column = 0; column < p.output; ++column, y += p.channels) {
    const int64_t begin = column * p.stride - p.pad;
    const int64_t first = begin >= 0 ? 0 : (p.dilation - 1 - begin) / p.dilation;
    const int64_t end = HWY_MIN(p.kernel, (p.input - begin + p.dilation - 1) / p.dilation);
    const int64_t columns = HWY_MAX(0, end - first);
    const T* from = columns > 0 ? x + (begin + first * p.dilation) * p.channels : x;
    int64_t c = 0;
    for (; c + lanes <= p.channels; c += lanes) {
      max_vector<false>(p, from + c, columns, y + c, 0);
    }
    if (c < p.channels) {
      max_vector<true>(p, from + c, columns, y + c, static_cast<size_t>(p.channels - c));
    }
  }
}

void max_floats(const PoolLine& p, const float* x, float* y) { max_line(p, x, y); }
void max_doubles(const PoolLine& p, const double* x, double* y) { max_line(p, x, y); }

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

HWY_EXPORT(max_floats);
HWY_EXPORT(max_doubles);

namespace {

void run_line(const PoolLine& p, const float* x, float* y) {
  HWY_DYNAMIC_DISPATCH(max_floats)(p, x, y);
}
void run_line(const PoolLine& p, const double* x, double* y) {
  HWY_DYNAMIC_DISPATCH(max_doubles)(p, x, y);
}

// Lines of the input that a line of windows may meet.
int64_t most_lines(const Window& w) {
  int64_t count = 1;
  for (size_t i = 0; i + 1 < w.rank(); ++i) count *= std::min(w.kernel[i], w.input[i]);
  return count;
}

// Where those begin that line `at` of windows meets, in elements; returns their number.
int64_t find_lines(const Window& w, int64_t channels, int64_t at, int64_t* lines) {
  int64_t count = 1, step = w.input.back() * channels;
  lines[0] = 0;
  for (size_t i = w.rank() - 1; i-- > 0; at /= w.output[i], step *= w.input[i]) {
    const int64_t begin = at % w.output[i] * w.strides[i] - w.pads[i], apart = w.dilations[i];
    const int64_t first = begin >= 0 ? 0 : (apart - 1 - begin) / apart;
    const int64_t end = std::min(w.kernel[i], (w.input[i] - begin + apart - 1) / apart);
    // From the back: the first of them takes the place of what they are made of.
    for (int64_t k = end; k-- > first;) {
      const int64_t place = (begin + k * apart) * step;
      int64_t* to = lines + (k - first) * count;
      for (int64_t line = 0; line < count; ++line) to[line] = lines[line] + place;
    }
    count *= std::max<int64_t>(0, end - first);
  }
  return count;
}

template <typename T>
void max_any(const Window& w, int64_t batch, int64_t channels, const T* x, T* y) {
  constexpr int64_t grain = 1 << 15;
  const size_t last = w.rank() - 1;
  const int64_t size = w.output[last] * channels, image = w.input_size() * channels;
  const int64_t lines = size > 0 ? w.output_size() / w.output[last] : 0;
  const int64_t work = std::max<int64_t>(1, size * std::min(grain, w.kernel_size()));
  parallel_for(batch * lines, std::max<int64_t>(1, grain / work), [&](int64_t begin, int64_t end) {
    const Scratch met(static_cast<size_t>(most_lines(w)) * sizeof(int64_t));
    for (int64_t at = begin; at < end; ++at) {
      const int64_t count = find_lines(w, channels, at % lines, met.as<int64_t>());
      run_line({.lines = {met.as<int64_t>(), static_cast<size_t>(count)},
                .channels = channels,
                .input = w.input[last],
                .output = w.output[last],
                .kernel = w.kernel[last],
                .stride = w.strides[last],
                .dilation = w.dilations[last],
                .pad = w.pads[last]},
               x + at / lines * image, y + at * size);
    }
  });
}

}  // namespace

void max_channels_last(const Window& w, int64_t batch, int64_t channels, const float* x, float* y) {
  max_any(w, batch, channels, x, y);
}
void max_channels_last(const Window& w, int64_t batch, int64_t channels, const double* x,
                       double* y) {
  max_any(w, batch, channels, x, y);
}

}  // namespace onnxrun
#endif  // HWY_ONCE
