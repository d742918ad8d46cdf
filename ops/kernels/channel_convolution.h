// The sums of convolutions in vectors of output channels, in float and double. What is summed for
// one pixel lies in `width` neighbouring elements, a lane for each channel: one or two vectors of
// channel_lanes(). Lanes behind the last channel mean nothing.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/conv_lines.h"
#include "kernels/limits.h"

namespace onnxrun {

// Elements of the processor's vectors.
template <typename T>
int64_t channel_lanes();

// lanes[column][r] = rows[r][column] for r < count <= width; rows are row_step apart.
template <typename T>
struct ChannelRows {
  T* rows;
  int64_t row_step, count, columns;
  int64_t width;
};
void gather_channels(const ChannelRows<const float>& from, float* lanes);
void gather_channels(const ChannelRows<const double>& from, double* lanes);
// The way back.
void scatter_channels(const float* lanes, const ChannelRows<float>& to);
void scatter_channels(const double* lanes, const ChannelRows<double>& to);

// Lines of a channel to its padded plane; what is padding there stays.
void pad_lines(const ConvLines& lines, const float* channel, float* plane);
void pad_lines(const ConvLines& lines, const double* channel, double* plane);

template <typename T>
struct ChannelLine {
  std::span<const LineTap> taps;
  const T* planes;  // from pixel 0 on
  int64_t plane_size, channels;
  int64_t step;      // between pixels
  const T* weights;  // [channels][positions][width]
  int64_t positions, width;
  const T* bias;  // [width]; null: what `out` holds
  const Limits<T>* limits;
  T* out;  // out_step apart
  int64_t out_step, pixels;
  int64_t stored;           // lanes that are written, more than `width` less one vector
  bool is_apart = false;    // the sum begins at 0, and is added to the bias at its end
  bool leaves_out = false;  // taps leave pixels out; there are 8 pixels or more
};

// out[p] = within limits, bias + the sum over channels c and taps t of weights[c][t.position] *
// planes[c][t.input + p * step], in order.
void convolve_line(const ChannelLine<float>& line);
void convolve_line(const ChannelLine<double>& line);

// The same lines with the cotangents of their sums.
template <typename T>
struct ChannelGradient {
  std::span<const LineTap> taps;
  const T* planes;  // from pixel 0 of the first line on
  int64_t plane_size, channels;
  int64_t step, line_step;  // between pixels, and lines, of planes
  const T* out;             // [lines][pixels][width]
  int64_t lines, pixels;
  T* weights;  // [channels][positions][width]
  int64_t positions, width;
};

// weights[c][t.position] += the sum over lines and pixels p of out * planes[c][t.input + line *
// line_step + p * step], for each channel c and tap t.
void add_channel_gradient(const ChannelGradient<float>& g);
void add_channel_gradient(const ChannelGradient<double>& g);

}  // namespace onnxrun
