#include "kernels/channels_last_convolution.h"

#include <algorithm>
#include <type_traits>

#include "base/threads.h"
#include "kernels/channel_convolver.h"
#include "kernels/scratch.h"

namespace onnxrun {

namespace {

// Terms that products sum before they add the sum to the bias (gemm.h).
constexpr int64_t block_terms = 256;
// Weights that may be in memory twice, and pixels beside which packing others takes no time.
constexpr int64_t enough_pixels = 128;
// Images that are shared out whole.
constexpr int64_t enough_images = 8;

// [channels][positions] the other way round, for the depthwise kernel; [block][inputs][width] for
// the others, where inputs are channels and positions.
int64_t packed_size(const ChannelsLastConv& p) {
  const ConvShape& s = p.conv.shape;
  if (p.way == ChannelsLastConv::Way::Depthwise) return s.groups * s.window.kernel_size();
  return ChannelBlocks<float>(s.out_channels).all_lanes() * s.weight_rows();
}

void pack(const ChannelsLastConv& p, const float* w, float* packed) {
  const ConvShape& s = p.conv.shape;
  const int64_t rows = s.weight_rows();
  if (p.way == ChannelsLastConv::Way::Depthwise) {
    for (int64_t c = 0; c < s.groups; ++c) {
      for (int64_t i = 0; i < rows; ++i) packed[i * s.groups + c] = w[c * rows + i];
    }
    return;
  }
  const ChannelBlocks<float> blocks(s.out_channels);
  for (int64_t b = 0; b < blocks.count(); ++b) {
    gather_channels({.rows = w + blocks.first(b) * rows,
                     .row_step = rows,
                     .count = blocks.size(b),
                     .columns = rows,
                     .width = blocks.width(b)},
                    packed + blocks.first(b) * rows);
  }
}

// What every block of channels begins with.
class BlockBias {
 public:
  BlockBias(const ChannelBlocks<float>& blocks, const float* bias)
      : memory_(static_cast<size_t>(blocks.count() * 2 * blocks.lanes) * sizeof(float)) {
    float* all = memory_.as<float>();
    std::fill_n(all, blocks.count() * 2 * blocks.lanes, 0.0F);
    if (bias) std::copy_n(bias, blocks.channels, all);
  }
  const float* of(const ChannelBlocks<float>& blocks, int64_t block) const {
    return memory_.as<float>() + blocks.first(block);
  }

 private:
  Scratch memory_;
};

class LastConvolver {
 public:
  LastConvolver(const ChannelsLastConv& p, const float* packed, const float* bias,
                const Limits<float>* limits)
      : p_(p),
        s_(p.conv.shape),
        blocks_(s_.out_channels),
        packed_(packed),
        bias_(blocks_, bias),
        limits_(limits),
        is_apart_(p.is_apart()) {}

  // Of windows that are the pixels.
  void pixels(const float* x, float* y) const {
    // Pixels that a second-level cache holds beside the weights.
    constexpr int64_t chunk = 112;
    const int64_t images = p_.of_planes ? s_.batch : 1, plane = s_.window.input_size();
    const int64_t count = p_.of_planes ? plane : s_.batch * plane, chunks = ceil_of(count, chunk);
    const double work = static_cast<double>(chunk * s_.in_channels * s_.out_channels);
    parallel_for(images * chunks, pieces_grain(work), [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; ++at) {
        const int64_t first = at % chunks * chunk, image = at / chunks * s_.x_at(1, 0);
        const int64_t some = std::min(chunk, count - first);
        const float* from = x + image + (p_.of_planes ? first : first * s_.in_channels);
        multiply(from, some, y + (at / chunks * plane + first) * s_.out_channels);
      }
    });
  }

  void lines(const float* x, float* y) const {
    const int64_t rows = blocks_.count() * p_.lines->lines();
    const int64_t out = s_.window.output_size() * s_.out_channels;
    if (s_.batch >= enough_images) {
      parallel_for(s_.batch, pieces_grain(s_.group_work()), [&](int64_t begin, int64_t end) {
        Scratch scratch(static_cast<size_t>(padded_size()) * sizeof(float));
        for (int64_t n = begin; n < end; ++n) {
          convolve_rows(padded(x, n, scratch.as<float>()), y + n * out, 0, rows);
        }
      });
      return;
    }
    Scratch scratch(static_cast<size_t>(s_.batch * padded_size()) * sizeof(float));
    const auto memory = [&](int64_t n) { return scratch.as<float>() + n * padded_size(); };
    for (int64_t n = 0; n < s_.batch; ++n) padded(x, n, memory(n));
    const double row_work = s_.group_work() / static_cast<double>(rows);
    parallel_for(s_.batch * rows, pieces_grain(row_work), [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end;) {
        const int64_t n = at / rows, row = at % rows, last = std::min(rows, row + end - at);
        convolve_rows(p_.lines->is_padded() ? memory(n) : x + s_.x_at(n, 0), y + n * out, row,
                      last);
        at += last - row;
      }
    });
  }

 private:
  // Elements from one pixel to the next, and from one channel to the next, of what is read.
  int64_t pixel() const { return p_.of_planes ? 1 : s_.in_channels; }

  void multiply(const float* x, int64_t pixels, float* y) const {
    static constexpr LineTap point[] = {{}};
    const int64_t in = s_.in_channels;
    const int64_t channel = p_.of_planes ? s_.window.input_size() : 1;
    for (int64_t b = 0; b < blocks_.count(); ++b) {
      for (int64_t term = 0; term < in; term += block_terms) {
        convolve_line({.taps = point,
                       .planes = x + term * channel,
                       .plane_size = channel,
                       .channels = std::min(block_terms, in - term),
                       .step = pixel(),
                       .weights = packed_ + blocks_.first(b) * in + term * blocks_.width(b),
                       .positions = 1,
                       .width = blocks_.width(b),
                       .bias = term == 0 ? bias_.of(blocks_, b) : nullptr,
                       .limits = term + block_terms < in ? nullptr : limits_,
                       .out = y + blocks_.first(b),
                       .out_step = s_.out_channels,
                       .pixels = pixels,
                       .stored = blocks_.size(b),
                       .is_apart = true});
      }
    }
  }

  int64_t padded_size() const {
    if (!p_.lines->is_padded()) return 0;
    if (p_.of_planes) return s_.in_channels * p_.lines->plane_size();
    return p_.lines->source_lines() * p_.lines->pitch() * s_.in_channels;
  }

  // Image n, padded in `memory` if it has to be.
  const float* padded(const float* x, int64_t n, float* memory) const {
    const ConvLines& l = *p_.lines;
    const float* image = x + s_.x_at(n, 0);
    if (!l.is_padded()) return image;
    if (p_.of_planes) {
      std::fill_n(memory, padded_size(), 0.0F);
      for (int64_t c = 0; c < s_.in_channels; ++c) {
        pad_lines(l, image + c * s_.window.input_size(), memory + c * l.plane_size());
      }
      return memory;
    }
    const int64_t length = l.source_length() * pixel(), left = l.left() * pixel();
    const int64_t right = l.pitch() * pixel() - left - length;
    float* to = memory;
    for (int64_t line = 0; line < l.source_lines(); ++line, image += length) {
      to = std::fill_n(to, left, 0.0F);
      to = std::copy_n(image, length, to);
      to = std::fill_n(to, right, 0.0F);
    }
    return memory;
  }

  int64_t plane_step() const {
    if (!p_.of_planes) return 1;
    return p_.lines->is_padded() ? p_.lines->plane_size() : s_.window.input_size();
  }

  // Lines [begin, end) of all blocks of channels of one image.
  void convolve_rows(const float* x, float* y, int64_t begin, int64_t end) const {
    const ConvLines& l = *p_.lines;
    auto run = p_.runs.begin();
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = row / l.lines(), line = row % l.lines();
      if (line == 0) run = p_.runs.begin();
      while (line >= run->first + run->lines) ++run;
      convolve_line({.taps = run->taps[0],
                     .planes = x + (line - run->first) * run->step,
                     .plane_size = plane_step(),
                     .channels = s_.in_channels,
                     .step = l.step() * pixel(),
                     .weights = packed_ + blocks_.first(b) * s_.weight_rows(),
                     .positions = s_.window.kernel_size(),
                     .width = blocks_.width(b),
                     .bias = bias_.of(blocks_, b),
                     .limits = limits_,
                     .out = y + line * l.length() * s_.out_channels + blocks_.first(b),
                     .out_step = s_.out_channels,
                     .pixels = l.length(),
                     .stored = blocks_.size(b),
                     .is_apart = is_apart_,
                     .leaves_out = l.leaves_out()});
    }
  }

  const ChannelsLastConv& p_;
  const ConvShape& s_;
  ChannelBlocks<float> blocks_;
  const float* packed_;
  BlockBias bias_;
  const Limits<float>* limits_;
  bool is_apart_;
};

// [images][rows][columns] with the last two axes exchanged.
StridedCopy transposition(int64_t images, int64_t rows, int64_t columns) {
  const Dims dims = {images, columns, rows};
  return {dims, Dims{rows * columns, 1, columns}, dense_strides(dims)};
}

template <typename T>
void transpose(const StridedCopy& copy, const T* from, T* to) {
  using Bits = Word<std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;
  copy.run(reinterpret_cast<const Bits*>(from), reinterpret_cast<Bits*>(to));
}

template <typename T>
void convolve_planes(const ChannelsLastConv& p, const T* x, const T* w, const T* bias, T* y,
                     const Limits<T>* limits) {
  const ConvShape& s = p.conv.shape;
  const Scratch result(static_cast<size_t>(s.y_at(s.batch, 0)) * sizeof(T));
  const Scratch planes(static_cast<size_t>(p.to_planes.size()) * sizeof(T));
  if (!p.of_planes) transpose(p.to_planes, x, planes.as<T>());
  convolve(p.conv, p.of_planes ? x : planes.as<T>(), w, bias, result.as<T>(), limits);
  transpose(p.from_planes, result.as<T>(), y);
}

}  // namespace

ChannelsLastConv::ChannelsLastConv(ConvShape s, bool is_of_planes, DType dtype)
    : conv(std::move(s)), of_planes(is_of_planes) {
  if (dtype != DType::Float64) way = choose();
  if (way == Way::Lines) scale_runs();
  if (way != Way::Planes) return;
  const int64_t in = conv.shape.window.input_size(), out = conv.shape.window.output_size();
  const int64_t batch = conv.shape.batch, groups = conv.shape.groups;
  if (!of_planes) to_planes = transposition(batch, in, groups * conv.shape.in_channels);
  from_planes = transposition(batch, groups * conv.shape.out_channels, out);
}

void ChannelsLastConv::scale_runs() {
  runs = lines->runs();
  const int64_t pixel = of_planes ? 1 : conv.shape.in_channels;
  for (ConvLines::Run& run : runs) {
    run.step *= pixel;
    for (std::vector<LineTap>& taps : run.taps) {
      for (LineTap& tap : taps) tap.input *= pixel;
    }
  }
}

ChannelsLastConv::Way ChannelsLastConv::choose() {
  const ConvShape& s = conv.shape;
  const Window& w = s.window;
  if (!s.has_weights() || s.batch * w.output_size() == 0) return Way::Planes;
  if (s.groups > 1) {
    if (!of_planes) depthwise = DepthwiseLast::of(s);
    const bool fits = depthwise && (!is_apart() || w.kernel_size() <= block_terms);
    if (fits) depthwise->is_apart = is_apart();
    return fits ? Way::Depthwise : Way::Planes;
  }
  // Writing weights into vectors takes as long as a few pixels.
  const bool is_small = s.weight_rows() <= most_kept_weights / s.out_channels;
  if (!is_small && s.batch * w.output_size() < enough_pixels) return Way::Planes;
  if (w.is_identity() && is_apart()) return Way::Pixels;
  if (is_apart() && s.weight_rows() > block_terms) return Way::Planes;
  lines = conv.lines ? conv.lines : ConvLines::of_output(w, s.in_channels);
  return lines ? Way::Lines : Way::Planes;
}

bool ChannelsLastConv::keeps_weights(const Tensor& w) const {
  if (way == Way::Planes) return conv.keeps_weights(w);
  // Beside many pixels packing takes no time, and weights that are not small would be in memory
  // twice.
  constexpr int64_t small_weights = 1 << 14, many_pixels = 2048;
  const int64_t pixels = conv.shape.batch * conv.shape.window.output_size();
  const int64_t most = pixels > many_pixels ? small_weights : most_kept_weights;
  return w.dtype() == DType::Float32 && w.size() <= most;
}

Tensor ChannelsLastConv::packed_weights(const Tensor& w) const {
  if (way == Way::Planes) return conv.packed_weights(w);
  Tensor result(w.dtype(), {packed_size(*this)});
  pack(*this, w.data<float>(), result.data<float>());
  return result;
}

void ChannelsLastConv::keep_weights(Tensor w) {
  (way == Way::Planes ? conv.packed : packed) = std::move(w);
}

std::string_view ChannelsLastConv::name() const {
  static constexpr std::string_view names[] = {"pixels", "depthwise", "channels", "planes"};
  return names[static_cast<size_t>(way)];
}

void convolve(const ChannelsLastConv& p, const float* x, const float* w, const float* bias,
              float* y, const Limits<float>* limits) {
  using Way = ChannelsLastConv::Way;
  if (p.way == Way::Planes) return convolve_planes(p, x, w, bias, y, limits);
  const bool is_kept = p.packed.defined();
  const Scratch memory(static_cast<size_t>(is_kept ? 0 : packed_size(p)) * sizeof(float));
  if (!is_kept) pack(p, w, memory.as<float>());
  const float* packed = is_kept ? p.packed.data<float>() : memory.as<float>();
  if (p.way == Way::Depthwise) {
    return convolve_depthwise(*p.depthwise, x, packed, bias, y, limits);
  }
  const LastConvolver convolver(p, packed, bias, limits);
  p.way == Way::Pixels ? convolver.pixels(x, y) : convolver.lines(x, y);
}
void convolve(const ChannelsLastConv& p, const double* x, const double* w, const double* bias,
              double* y, const Limits<double>* limits) {
  convolve_planes(p, x, w, bias, y, limits);
}

}  // namespace onnxrun
