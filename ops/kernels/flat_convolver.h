// Convolutions of small images, whose channels FlatWindows lays out.
#pragma once

#include <algorithm>
#include <optional>

#include "base/threads.h"
#include "kernels/conv_shape.h"
#include "kernels/flat_convolution.h"
#include "kernels/flat_windows.h"
#include "kernels/limits.h"
#include "kernels/scratch.h"

namespace onnxrun {

// The methods are those of convolution.h.
template <typename T>
class FlatConvolver {
 public:
  // forward() limits y, unless `limits` is null.
  FlatConvolver(const ConvShape& shape, const FlatWindows& flat, const Limits<T>* limits = nullptr)
      : s_(shape), flat_(flat), limits_(limits) {}

  void forward(const T* x, const T* w, const T* bias, T* y) const {
    const int64_t groups = s_.batch * s_.groups;
    if (groups >= enough_pieces) {
      parallel_for(groups, pieces_grain(s_.group_work()), [&](int64_t begin, int64_t end) {
        Scratch scratch(static_cast<size_t>(packed_size()) * sizeof(T));
        for (int64_t p = begin; p < end; ++p) {
          flat_.pack_input(x + s_.x_at(0, p), s_.in_channels, scratch.as<T>());
          forward_rows(scratch.as<T>(), w, bias, y, p, 0, s_.out_channels);
        }
      });
      return;
    }
    // Few images: their rows are shared out, and all read the same planes.
    Scratch scratch(static_cast<size_t>(groups * packed_size()) * sizeof(T));
    T* planes = scratch.as<T>();
    for (int64_t p = 0; p < groups; ++p) {
      flat_.pack_input(x + s_.x_at(0, p), s_.in_channels, planes + p * packed_size());
    }
    const int64_t splits = ceil_of(s_.out_channels, shared_rows);
    parallel_for(groups * splits, pieces_grain(s_.group_work() / static_cast<double>(splits)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t piece = begin; piece < end; ++piece) {
                     const int64_t p = piece / splits, row = piece % splits * shared_rows;
                     forward_rows(planes + p * packed_size(), w, bias, y, p, row,
                                  std::min(shared_rows, s_.out_channels - row));
                   }
                 });
  }

  void weight_grad(const T* x, const T* dy, T* dw) const {
    // Parts of the batch are summed apart, then in order.
    int64_t size = s_.groups * s_.out_channels * s_.weight_rows();
    int64_t parts =
        s_.work() < 4 * work_grain ? 1 : std::clamp<int64_t>(s_.batch, 1, enough_pieces);
    std::optional<Scratch> scratch;
    T* sums = dw;
    if (parts > 1) {
      scratch.emplace(static_cast<size_t>(parts * size) * sizeof(T));
      sums = scratch->template as<T>();
    }
    int64_t share = ceil_of(s_.batch, parts);
    parallel_for(parts * s_.groups, pieces_grain(s_.group_work() * static_cast<double>(share)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t p = begin; p < end; ++p) {
                     int64_t part = p / s_.groups, g = p % s_.groups;
                     weight_grad_part(x, dy, sums + part * size + s_.w_at(g), part * share,
                                      std::min(s_.batch, (part + 1) * share), g);
                   }
                 });
    if (parts == 1) return;
    std::copy_n(sums, size, dw);
    for (int64_t part = 1; part < parts; ++part) {
      for (int64_t i = 0; i < size; ++i) dw[i] += sums[part * size + i];
    }
  }

 private:
  static constexpr int64_t enough_pieces = 8, shared_rows = 16;
  // Rows of outputs that are computed before they are copied to y.
  static constexpr int64_t block_rows = 8;
  // Flat indices of these rows that are: whole tiles of the kernel, and what a first-level cache
  // holds.
  static constexpr int64_t block_positions = 960;
  // Elements of the images whose weight gradients are summed together: what a second-level cache
  // holds.
  static constexpr int64_t block_elements = 1 << 16;

  // Rows [row, row + rows) of the p-th group of all images, which `planes` hold.
  void forward_rows(const T* planes, const T* w, const T* bias, T* y, int64_t p, int64_t row,
                    int64_t rows) const {
    const int64_t g = p % s_.groups, out = s_.window.output_size(), first = g * s_.out_channels;
    const int64_t step = std::min(flat_.padded_size(), block_positions + FlatWindows::slack);
    Scratch scratch(static_cast<size_t>(block_rows * step) * sizeof(T));
    T* result = scratch.as<T>();
    for (int64_t end = row + rows; row < end; row += block_rows) {
      const int64_t count = std::min(block_rows, end - row);
      for (int64_t at = 0; at < flat_.size(); at += block_positions) {
        const int64_t size = std::min(block_positions, flat_.size() - at);
        T* to = y + s_.y_at(0, p) + row * out;
        flat_convolve(FlatConvolution<T>{.offsets = flat_.offsets(),
                                         .planes = planes + at,
                                         .plane_size = flat_.plane_size(),
                                         .channels = s_.in_channels,
                                         .weights = w + s_.w_at(g) + row * s_.weight_rows(),
                                         .weight_step = s_.weight_rows(),
                                         .rows = count,
                                         .bias = bias ? bias + first + row : nullptr,
                                         .out = result,
                                         .out_step = step,
                                         .size = size,
                                         .limits = limits_});
        for (int64_t r = 0; r < count; ++r) {
          flat_.unpack_output(result + r * step, at, size, to + r * out);
        }
      }
    }
  }

  // The sum over images [first, last) for group g.
  void weight_grad_part(const T* x, const T* dy, T* dw, int64_t first, int64_t last,
                        int64_t g) const {
    int64_t step = flat_.padded_size(), out = s_.window.output_size();
    int64_t image = packed_size() + s_.out_channels * step;
    int64_t together =
        std::clamp<int64_t>(block_elements / image, 1, std::max<int64_t>(1, last - first));
    Scratch scratch(static_cast<size_t>(together * image) * sizeof(T));
    std::fill_n(dw, s_.out_channels * s_.weight_rows(), T{0});
    for (int64_t n = first; n < last; n += together) {
      int64_t images = std::min(together, last - n);
      for (int64_t i = 0; i < images; ++i) {
        T* planes = scratch.as<T>() + i * image;
        flat_.pack_input(x + s_.x_at(n + i, g), s_.in_channels, planes);
        for (int64_t m = 0; m < s_.out_channels; ++m) {
          flat_.pack_output(dy + s_.y_at(n + i, g) + m * out, planes + packed_size() + m * step);
        }
      }
      flat_weight_gradient(FlatWeightGradient<T>{.offsets = flat_.offsets(),
                                                 .planes = scratch.as<T>(),
                                                 .plane_size = flat_.plane_size(),
                                                 .channels = s_.in_channels,
                                                 .out = scratch.as<T>() + packed_size(),
                                                 .out_step = step,
                                                 .size = flat_.size(),
                                                 .rows = s_.out_channels,
                                                 .images = images,
                                                 .image_step = image,
                                                 .weights = dw,
                                                 .weight_step = s_.weight_rows()});
    }
  }

  int64_t packed_size() const { return s_.in_channels * flat_.plane_size() + FlatWindows::slack; }

  const ConvShape& s_;
  const FlatWindows& flat_;
  const Limits<T>* limits_;
};

}  // namespace onnxrun
