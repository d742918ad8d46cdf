// Convolutions as products with matrices of windows (im2col), in tiles.
#pragma once

#include <algorithm>
#include <optional>

#include "base/threads.h"
#include "kernels/conv_shape.h"
#include "kernels/gemm.h"
#include "kernels/im2col.h"
#include "kernels/scratch.h"

namespace onnxrun {

// Elements of a tile of the window matrix: what fits a second-level cache.
inline constexpr int64_t tile_elements = 1 << 18;
// Columns that make the packing of the weights worth its while.
inline constexpr int64_t enough_columns = 512;
// Rows from which on it is worth copying small images together.
inline constexpr int64_t enough_rows = 64;
// Pieces of a batch that are left for threads.
inline constexpr int64_t batch_pieces = 4;
// How the columns of the window matrices of all images are cut: large images in tiles, small images
// several at a time.
struct Tiling {
  int64_t images = 1;   // of one piece
  int64_t columns = 0;  // of one image
  int64_t tiles = 1;    // of one image

  Tiling(const ConvShape& s, int64_t rows) {
    int64_t size = s.window.output_size();
    int64_t fit = std::max(enough_columns, tile_elements / std::max<int64_t>(1, rows));
    tiles = std::max<int64_t>(1, ceil_of(size, fit));
    columns = std::max<int64_t>(1, ceil_of(size, tiles));
    columns = std::min(size, ceil_of(columns, 16) * 16);
    tiles = columns > 0 ? ceil_of(size, columns) : 1;
    if (tiles == 1 && size > 0 && size < enough_columns && rows >= enough_rows) {
      images =
          std::clamp<int64_t>(ceil_of(s.batch, batch_pieces), 1, ceil_of(enough_columns, size));
    }
  }
};

// x, w, y and their gradients lie as ConvShape says; all methods are those of convolution.h.
template <typename T>
struct MatrixConvolution {
  const ConvShape& s;
  int64_t taps = s.window.kernel_size(), rows = s.weight_rows();
  int64_t in = s.window.input_size(), out = s.window.output_size();
  bool identity = s.window.is_identity();

  explicit MatrixConvolution(const ConvShape& shape) : s(shape) {}

  // y = w * columns (+ bias) within limits for columns [begin, end) of one image.
  void product(const T* w, const T* columns, int64_t ld, int64_t count, const T* bias, T* y,
               int64_t ldy, const Limits<T>* limits) const {
    if (bias) {
      for (int64_t m = 0; m < s.out_channels; ++m) std::fill_n(y + m * ldy, count, bias[m]);
    }
    gemm<T>(false, false, s.out_channels, count, rows, 1, w, rows, columns, ld, bias ? 1 : 0, y,
            ldy, limits);
  }

  void forward(const T* x, const T* w, const T* bias, T* y,
               const Limits<T>* limits = nullptr) const {
    Tiling tiling(s, rows);
    int64_t blocks = ceil_of(s.batch, tiling.images);
    int64_t pieces = blocks * s.groups * tiling.tiles;
    double work =
        s.group_work() * static_cast<double>(tiling.images) / static_cast<double>(tiling.tiles);
    parallel_for(pieces, pieces_grain(work), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        int64_t tile = p % tiling.tiles, g = p / tiling.tiles % s.groups,
                block = p / tiling.tiles / s.groups;
        int64_t n = block * tiling.images;
        const T* group_bias = bias ? bias + g * s.out_channels : nullptr;
        if (int64_t images = std::min(tiling.images, s.batch - n); images > 1) {
          forward_images(x, w + s.w_at(g), group_bias, y, limits, n, images, g);
        } else {
          int64_t from = tile * tiling.columns, to = std::min(out, from + tiling.columns);
          forward_tile(x + s.x_at(n, g), w + s.w_at(g), group_bias, y + s.y_at(n, g), limits, from,
                       to);
        }
      }
    });
  }

  void forward_tile(const T* x, const T* w, const T* bias, T* y, const Limits<T>* limits,
                    int64_t from, int64_t to) const {
    if (identity) return product(w, x + from, in, to - from, bias, y + from, out, limits);
    Scratch scratch(static_cast<size_t>(rows * (to - from)) * sizeof(T));
    T* columns = scratch.as<T>();
    im2col(s.window, x, s.in_channels, from, to, columns, to - from);
    product(w, columns, to - from, to - from, bias, y + from, out, limits);
  }

  // Several small images side by side, so that the weights are packed once for all of them.
  void forward_images(const T* x, const T* w, const T* bias, T* y, const Limits<T>* limits,
                      int64_t n, int64_t images, int64_t g) const {
    int64_t width = images * out;
    Scratch scratch(static_cast<size_t>((rows + s.out_channels) * width) * sizeof(T));
    T *columns = scratch.as<T>(), *result = columns + rows * width;
    for (int64_t i = 0; i < images; ++i) {
      im2col(s.window, x + s.x_at(n + i, g), s.in_channels, 0, out, columns + i * out, width);
    }
    product(w, columns, width, width, bias, result, width, limits);
    for (int64_t i = 0; i < images; ++i) {
      for (int64_t m = 0; m < s.out_channels; ++m) {
        std::copy_n(result + m * width + i * out, out, y + s.y_at(n + i, g) + m * out);
      }
    }
  }

  // Channels that one piece of a gradient works on: enough pieces for many threads, by size only.
  int64_t channel_block(int64_t pieces, double work) const {
    int64_t wanted = work < 4 * work_grain ? 1 : ceil_of(16, std::max<int64_t>(1, pieces));
    return std::max<int64_t>(1, ceil_of(s.in_channels, wanted));
  }

  void input_grad(const T* dy, const T* w, const T* bias, T* dx) const {
    double total = s.work();
    int64_t images = Tiling(s, rows).images, blocks = ceil_of(s.batch, images);
    int64_t block = channel_block(blocks * s.groups, total), splits = ceil_of(s.in_channels, block);
    int64_t pieces = blocks * s.groups * splits;
    parallel_for(pieces, pieces_grain(total / static_cast<double>(std::max<int64_t>(1, pieces))),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t p = begin; p < end; ++p) {
                     int64_t c = p % splits * block, g = p / splits % s.groups,
                             n = p / splits / s.groups * images;
                     input_grad_piece(dy, w + s.w_at(g) + c * taps,
                                      bias ? bias + g * s.in_channels + c : nullptr, dx, n,
                                      std::min(images, s.batch - n), g, c,
                                      std::min(block, s.in_channels - c));
                   }
                 });
  }

  // Images [n, n + images), channels [c, c + channels) of group g.
  void input_grad_piece(const T* dy, const T* w, const T* bias, T* dx, int64_t n, int64_t images,
                        int64_t g, int64_t c, int64_t channels) const {
    for (int64_t i = 0; i < images; ++i) {
      for (int64_t k = 0; k < channels; ++k) {
        std::fill_n(dx + s.x_at(n + i, g) + (c + k) * in, in, bias ? bias[k] : T{0});
      }
    }
    if (images == 1) return spread(dy + s.y_at(n, g), w, dx + s.x_at(n, g) + c * in, channels);
    int64_t width = images * out, height = channels * taps;
    Scratch scratch(static_cast<size_t>((s.out_channels + height) * width) * sizeof(T));
    T *side = scratch.as<T>(), *columns = side + s.out_channels * width;
    gather_cotangents(dy, n, images, g, side);
    gemm<T>(true, false, height, width, s.out_channels, 1, w, rows, side, width, 0, columns, width);
    for (int64_t i = 0; i < images; ++i) {
      col2im(s.window, columns + i * out, width, channels, 0, out, dx + s.x_at(n + i, g) + c * in);
    }
  }

  // dx += the transposed convolution of one image.
  void spread(const T* dy, const T* w, T* dx, int64_t channels) const {
    int64_t height = channels * taps;
    if (identity)
      return gemm<T>(true, false, height, out, s.out_channels, 1, w, rows, dy, out, 1, dx, in);
    Tiling tiling(s, height);
    Scratch scratch(static_cast<size_t>(height * tiling.columns) * sizeof(T));
    T* columns = scratch.as<T>();
    for (int64_t from = 0; from < out; from += tiling.columns) {
      int64_t count = std::min(tiling.columns, out - from);
      gemm<T>(true, false, height, count, s.out_channels, 1, w, rows, dy + from, out, 0, columns,
              count);
      col2im(s.window, columns, count, channels, from, from + count, dx);
    }
  }

  void weight_grad(const T* x, const T* dy, T* dw) const {
    int64_t size = s.groups * s.out_channels * rows;
    double total = s.work();
    // Small weights are summed in parts of the batch, the parts then in order.
    int64_t parts =
        total < 4 * work_grain || size > tile_elements ? 1 : std::clamp<int64_t>(s.batch, 1, 8);
    int64_t block = channel_block(parts * s.groups, total), splits = ceil_of(s.in_channels, block);
    std::optional<Scratch> scratch;
    T* sums = dw;
    if (parts > 1) {
      scratch.emplace(static_cast<size_t>(parts * size) * sizeof(T));
      sums = scratch->template as<T>();
    }
    int64_t share = ceil_of(s.batch, parts), pieces = parts * s.groups * splits;
    parallel_for(pieces, pieces_grain(total / static_cast<double>(std::max<int64_t>(1, pieces))),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t p = begin; p < end; ++p) {
                     int64_t c = p % splits * block, g = p / splits % s.groups,
                             part = p / splits / s.groups;
                     weight_grad_piece(x, dy, sums + part * size + s.w_at(g) + c * taps,
                                       part * share, std::min(s.batch, (part + 1) * share), g, c,
                                       std::min(block, s.in_channels - c));
                   }
                 });
    if (parts == 1) return;
    std::copy_n(sums, size, dw);
    for (int64_t part = 1; part < parts; ++part) {
      for (int64_t i = 0; i < size; ++i) dw[i] += sums[part * size + i];
    }
  }

  // The sum over images [first, last) for channels [c, c + channels) of group g.
  void weight_grad_piece(const T* x, const T* dy, T* dw, int64_t first, int64_t last, int64_t g,
                         int64_t c, int64_t channels) const {
    int64_t height = channels * taps;
    for (int64_t m = 0; m < s.out_channels; ++m) std::fill_n(dw + m * rows, height, T{0});
    int64_t images = Tiling(s, height).images;
    for (int64_t n = first; n < last; n += images) {
      int64_t some = std::min(images, last - n);
      if (some > 1) {
        add_images(x, dy, dw, n, some, g, c, channels);
      } else {
        add_image(x + s.x_at(n, g) + c * in, dy + s.y_at(n, g), dw, channels);
      }
    }
  }

  // dw += the part of one image.
  void add_image(const T* x, const T* dy, T* dw, int64_t channels) const {
    int64_t height = channels * taps;
    Tiling tiling(s, height);
    Scratch scratch(static_cast<size_t>(identity ? 0 : height * tiling.columns) * sizeof(T));
    T* columns = scratch.as<T>();
    for (int64_t from = 0; from < out; from += tiling.columns) {
      int64_t count = std::min(tiling.columns, out - from), ld = identity ? in : count;
      const T* windows = identity ? x + from : columns;
      if (!identity) im2col(s.window, x, channels, from, from + count, columns, count);
      gemm<T>(false, true, s.out_channels, height, count, 1, dy + from, out, windows, ld, 1, dw,
              rows);
    }
  }

  // dw += the part of several small images side by side.
  void add_images(const T* x, const T* dy, T* dw, int64_t n, int64_t images, int64_t g, int64_t c,
                  int64_t channels) const {
    int64_t width = images * out, height = channels * taps;
    Scratch scratch(static_cast<size_t>((s.out_channels + height) * width) * sizeof(T));
    T *side = scratch.as<T>(), *columns = side + s.out_channels * width;
    gather_cotangents(dy, n, images, g, side);
    for (int64_t i = 0; i < images; ++i) {
      im2col(s.window, x + s.x_at(n + i, g) + c * in, channels, 0, out, columns + i * out, width);
    }
    gemm<T>(false, true, s.out_channels, height, width, 1, side, width, columns, width, 1, dw,
            rows);
  }

  // The images' dy side by side, as one matrix.
  void gather_cotangents(const T* dy, int64_t n, int64_t images, int64_t g, T* side) const {
    for (int64_t i = 0; i < images; ++i) {
      for (int64_t m = 0; m < s.out_channels; ++m) {
        std::copy_n(dy + s.y_at(n + i, g) + m * out, out, side + (m * images + i) * out);
      }
    }
  }
};

}  // namespace onnxrun
