// Convolutions of many output channels, a vector of channels for each pixel.
#pragma once

#include <algorithm>

#include "base/threads.h"
#include "kernels/channel_convolution.h"
#include "kernels/conv_shape.h"
#include "kernels/scratch.h"

namespace onnxrun {

// The channels of a group in blocks of two vectors, the last perhaps of one.
template <typename T>
struct ChannelBlocks {
  int64_t channels, lanes = channel_lanes<T>();

  explicit ChannelBlocks(int64_t n) : channels(n) {}
  int64_t count() const { return ceil_of(channels, 2 * lanes); }
  int64_t first(int64_t block) const { return block * 2 * lanes; }
  int64_t size(int64_t block) const { return std::min(2 * lanes, channels - first(block)); }
  int64_t width(int64_t block) const { return size(block) > lanes ? 2 * lanes : lanes; }
  // Lanes of all blocks, and of those before one.
  int64_t all_lanes() const { return ceil_of(channels, lanes) * lanes; }
};

// One that lines describe: from x to y by of_output(), or from y's cotangent to x's by of_input().
// The methods are those of convolution.h.
template <typename T>
class ChannelConvolver {
 public:
  ChannelConvolver(const ConvShape& shape, const ConvLines& lines, bool of_input,
                   const Limits<T>* limits = nullptr)
      : s_(shape),
        lines_(lines),
        of_input_(of_input),
        limits_(limits),
        in_(of_input ? shape.out_channels : shape.in_channels),
        blocks_(of_input ? shape.in_channels : shape.out_channels),
        positions_(shape.window.kernel_size()),
        source_size_(of_input ? shape.window.output_size() : shape.window.input_size()),
        target_size_(of_input ? shape.window.input_size() : shape.window.output_size()) {}

  // Elements of the weights as convolve() takes them.
  int64_t packed_size() const { return s_.groups * group_weights(); }

  void pack_weights(const T* w, T* packed) const {
    for (int64_t g = 0; g < s_.groups; ++g) {
      for (int64_t b = 0; b < blocks_.count(); ++b) {
        pack_block(w + s_.w_at(g), b,
                   packed + g * group_weights() + blocks_.first(b) * in_ * positions_);
      }
    }
  }

  // `packed` are the weights, `bias` (null for none) one an output channel.
  void convolve(const T* from, const T* packed, const T* bias, T* to) const {
    const int64_t groups = s_.batch * s_.groups, rows = blocks_.count() * lines_.lines();
    const double line_work = s_.group_work() / static_cast<double>(rows);
    if (groups >= enough_pieces) {
      parallel_for(groups, pieces_grain(s_.group_work()), [&](int64_t begin, int64_t end) {
        Scratch scratch(plane_bytes());
        std::fill_n(scratch.as<T>(), plane_elements(), T{0});
        for (int64_t p = begin; p < end; ++p) {
          convolve_rows(planes_of(from, p, scratch.as<T>()), packed, bias, to, p, 0, rows);
        }
      });
      return;
    }
    // Few images: their lines are shared out, and all read the same planes.
    Scratch scratch(static_cast<size_t>(groups) * plane_bytes());
    std::fill_n(scratch.as<T>(), groups * plane_elements(), T{0});
    for (int64_t p = 0; p < groups; ++p) planes_of(from, p, scratch.as<T>() + p * plane_elements());
    parallel_for(groups * rows, pieces_grain(line_work), [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end;) {
        const int64_t p = at / rows, row = at % rows, last = std::min(rows, row + end - at);
        const T* planes =
            lines_.is_padded() ? scratch.as<T>() + p * plane_elements() : from + source_at(p);
        convolve_rows(planes, packed, bias, to, p, row, last);
        at += last - row;
      }
    });
  }

  void weight_grad(const T* x, const T* dy, T* dw) const {
    // Parts of the batch are summed apart, then in order.
    const int64_t parts =
        s_.work() < 4 * work_grain ? 1 : std::clamp<int64_t>(s_.batch, 1, enough_pieces);
    const int64_t share = ceil_of(s_.batch, parts), count = blocks_.count();
    const int64_t size = s_.groups * group_weights();
    // All blocks of a group read the same planes, unless threads would have too little to do.
    const int64_t splits = parts * s_.groups >= enough_pieces ? 1 : count;
    const int64_t pieces = parts * s_.groups * splits;
    Scratch scratch(static_cast<size_t>(parts * size) * sizeof(T));
    T* sums = scratch.as<T>();
    const double work = s_.work() / static_cast<double>(pieces);
    parallel_for(pieces, pieces_grain(work), [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        const int64_t first = piece % splits, g = piece / splits % s_.groups;
        const int64_t part = piece / splits / s_.groups;
        add_images(x, dy, sums + part * size, part * share, std::min(s_.batch, (part + 1) * share),
                   g, first, splits == 1 ? count : first + 1);
      }
    });
    for (int64_t part = 1; part < parts; ++part) {
      for (int64_t i = 0; i < size; ++i) sums[i] += sums[part * size + i];
    }
    for (int64_t g = 0; g < s_.groups; ++g) {
      for (int64_t b = 0; b < count; ++b) {
        scatter_channels(sums + weights_at(g, b),
                         {.rows = dw + s_.w_at(g) + blocks_.first(b) * s_.weight_rows(),
                          .row_step = s_.weight_rows(),
                          .count = blocks_.size(b),
                          .columns = s_.weight_rows(),
                          .width = blocks_.width(b)});
      }
    }
  }

 private:
  static constexpr int64_t enough_pieces = 8;
  // Pixels whose sums stay in a first-level cache until they are written to their channels.
  static constexpr int64_t most_pixels = 112;
  static_assert(most_pixels >= ConvLines::longest_left_out);

  int64_t group_weights() const { return blocks_.all_lanes() * in_ * positions_; }
  int64_t weights_at(int64_t g, int64_t block) const {
    return g * group_weights() + blocks_.first(block) * in_ * positions_;
  }
  int64_t source_at(int64_t p) const { return of_input_ ? s_.y_at(0, p) : s_.x_at(0, p); }
  int64_t target_at(int64_t p) const { return of_input_ ? s_.x_at(0, p) : s_.y_at(0, p); }
  int64_t plane_elements() const { return lines_.is_padded() ? in_ * lines_.plane_size() : 0; }
  size_t plane_bytes() const { return static_cast<size_t>(plane_elements()) * sizeof(T); }

  void pack_block(const T* w, int64_t b, T* packed) const {
    ChannelRows<const T> rows{.rows = w + blocks_.first(b) * s_.weight_rows(),
                              .row_step = s_.weight_rows(),
                              .count = blocks_.size(b),
                              .columns = s_.weight_rows(),
                              .width = blocks_.width(b)};
    if (!of_input_) return gather_channels(rows, packed);
    rows.row_step = rows.columns = positions_;
    for (int64_t m = 0; m < in_; ++m) {
      rows.rows = w + (m * blocks_.channels + blocks_.first(b)) * positions_;
      gather_channels(rows, packed + m * positions_ * rows.width);
    }
  }

  // The channels of the p-th group of all images, padded in `memory` if they have to be; what is
  // padding there is 0.
  const T* planes_of(const T* from, int64_t p, T* memory) const {
    const T* channel = from + source_at(p);
    if (!lines_.is_padded()) return channel;
    for (int64_t c = 0; c < in_; ++c, channel += source_size_) {
      pad_lines(lines_, channel, memory + c * lines_.plane_size());
    }
    return memory;
  }

  // What the sums of a block of channels are made of.
  struct Block {
    const T *planes, *weights, *bias;
    int64_t width;
  };

  // Lines [begin, end) of all blocks of the p-th group. As many lines of a block as fit are written
  // to their channels together, and lines that are longer in parts.
  void convolve_rows(const T* planes, const T* packed, const T* bias, T* to, int64_t p,
                     int64_t begin, int64_t end) const {
    const int64_t g = p % s_.groups, widest = 2 * blocks_.lanes, length = lines_.length();
    const int64_t together = std::max<int64_t>(1, most_pixels / length);
    const int64_t part = lines_.phases() == 1 ? std::min(most_pixels, length) : length;
    Scratch scratch(static_cast<size_t>((together * part + 1) * widest) * sizeof(T));
    T *block_bias = scratch.as<T>(), *sums = block_bias + widest;
    for (int64_t row = begin, lines = 0; row < end; row += lines) {
      const int64_t b = row / lines_.lines(), line = row % lines_.lines();
      lines = std::min({together, lines_.lines() - line, end - row});
      if (row == begin || line == 0) set_bias(bias, g, b, block_bias);
      const Block block{planes, packed + weights_at(g, b), block_bias, blocks_.width(b)};
      T* target = to + target_at(p) + blocks_.first(b) * target_size_ + line * length;
      for (int64_t at = 0; at < length; at += part) {
        const int64_t pixels = std::min(part, length - at);
        for (int64_t i = 0; i < lines; ++i) {
          sum_line(block, line + i, at, pixels, sums + i * length * block.width);
        }
        scatter_channels(sums, {.rows = target + at,
                                .row_step = target_size_,
                                .count = blocks_.size(b),
                                .columns = lines == 1 ? pixels : lines * length,
                                .width = block.width});
      }
    }
  }

  void set_bias(const T* bias, int64_t g, int64_t b, T* lanes) const {
    std::fill_n(lanes, 2 * blocks_.lanes, T{0});
    if (bias) std::copy_n(bias + g * blocks_.channels + blocks_.first(b), blocks_.size(b), lanes);
  }

  // `pixels` pixels of a line from `at` on.
  void sum_line(const Block& block, int64_t line, int64_t at, int64_t pixels, T* sums) const {
    const ConvLines::Run& run = lines_.run_of(line);
    const int64_t phases = lines_.phases();
    for (int64_t phase = 0; phase < std::min(phases, pixels); ++phase) {
      convolve_line({.taps = run.taps[static_cast<size_t>(phase)],
                     .planes = block.planes + (line - run.first) * run.step + at * lines_.step(),
                     .plane_size = plane_step(),
                     .channels = in_,
                     .step = lines_.step(),
                     .weights = block.weights,
                     .positions = positions_,
                     .width = block.width,
                     .bias = block.bias,
                     .limits = limits_,
                     .out = sums + phase * block.width,
                     .out_step = phases * block.width,
                     .pixels = phases == 1 ? pixels : lines_.pixels(phase),
                     .stored = block.width,
                     .leaves_out = lines_.leaves_out()});
    }
  }

  int64_t plane_step() const { return lines_.is_padded() ? lines_.plane_size() : source_size_; }

  // The sums of group g over images [first, last) for blocks [block, end).
  void add_images(const T* x, const T* dy, T* sums, int64_t first, int64_t last, int64_t g,
                  int64_t block, int64_t end) const {
    const int64_t out = s_.window.output_size();
    Scratch scratch(plane_bytes() + static_cast<size_t>(out * 2 * blocks_.lanes) * sizeof(T));
    T *cotangents = scratch.as<T>(), *memory = cotangents + out * 2 * blocks_.lanes;
    std::fill_n(memory, plane_elements(), T{0});
    for (int64_t b = block; b < end; ++b) {
      std::fill_n(sums + weights_at(g, b), in_ * positions_ * blocks_.width(b), T{0});
    }
    for (int64_t n = first; n < last; ++n) {
      const T* planes = planes_of(x, n * s_.groups + g, memory);
      for (int64_t b = block; b < end; ++b) {
        gather_channels({.rows = dy + s_.y_at(n, g) + blocks_.first(b) * out,
                         .row_step = out,
                         .count = blocks_.size(b),
                         .columns = out,
                         .width = blocks_.width(b)},
                        cotangents);
        add_image(planes, cotangents, blocks_.width(b), sums + weights_at(g, b));
      }
    }
  }

  void add_image(const T* planes, const T* cotangents, int64_t width, T* sums) const {
    // Lines that are summed together, their cotangents in a first-level cache.
    const int64_t most = std::max<int64_t>(1, most_pixels / lines_.length());
    for (const ConvLines::Run& run : lines_.runs()) {
      for (int64_t line = 0; line < run.lines; line += most) {
        add_channel_gradient({.taps = run.taps[0],
                              .planes = planes + line * run.step,
                              .plane_size = plane_step(),
                              .channels = in_,
                              .step = lines_.step(),
                              .line_step = run.step,
                              .out = cotangents + (run.first + line) * lines_.length() * width,
                              .lines = std::min(most, run.lines - line),
                              .pixels = lines_.length(),
                              .weights = sums,
                              .positions = positions_,
                              .width = width});
      }
    }
  }

  const ConvShape& s_;
  const ConvLines& lines_;
  bool of_input_;
  const Limits<T>* limits_;
  int64_t in_;  // channels of a group that are summed over
  ChannelBlocks<T> blocks_;
  int64_t positions_;
  int64_t source_size_, target_size_;  // elements of a channel
};

}  // namespace onnxrun
