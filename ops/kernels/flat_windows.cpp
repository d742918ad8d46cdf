#include "kernels/flat_windows.h"

namespace onnxrun {

namespace {

// Windows below which vectors would be mostly empty, and how much larger than input and output
// planes may be.
constexpr int64_t fewest_windows = 4, most_padding = 4;

}  // namespace

std::optional<FlatWindows> FlatWindows::of(const Window& w, int64_t channels,
                                           const Limits& limits) {
  if (w.is_identity() || w.input_size() == 0 || w.output_size() < fewest_windows) {
    return std::nullopt;
  }
  if (channels > limits.channels) return std::nullopt;
  int64_t plane = 1;
  for (size_t i = 0; i < w.rank(); ++i) {
    int64_t padded = (w.output[i] - 1) * w.strides[i] + w.extent(i);
    if (padded > limits.elements) return std::nullopt;
    plane *= (padded + w.strides[i] - 1) / w.strides[i] * w.strides[i];
    if (plane > limits.elements) return std::nullopt;
  }
  int64_t used = w.input_size() + w.output_size();
  if (plane * channels > limits.elements || plane > most_padding * used) return std::nullopt;
  FlatWindows flat(w);
  if (flat.size_ > 2 * w.output_size()) return std::nullopt;
  return flat;
}

FlatWindows::FlatWindows(const Window& w)
    : window_(w), pitch_(w.rank()), phase_step_(w.rank()), reach_(w.rank()) {
  int64_t phase = 1;
  for (size_t i = w.rank(); i-- > 0;) {
    int64_t padded = (w.output[i] - 1) * w.strides[i] + w.extent(i);
    reach_[i] = (padded + w.strides[i] - 1) / w.strides[i];
    pitch_[i] = phase;
    phase *= reach_[i];
  }
  plane_ = phase;
  for (size_t i = w.rank(); i-- > 0;) {
    phase_step_[i] = plane_;
    plane_ *= w.strides[i];
  }
  size_ = 1;
  for (size_t i = 0; i < w.rank(); ++i) size_ += (w.output[i] - 1) * pitch_[i];
  for (int64_t tap = 0; tap < w.kernel_size(); ++tap) {
    int64_t rest = tap, at = 0;
    for (size_t i = w.rank(); i-- > 0; rest /= w.kernel[i]) {
      int64_t position = rest % w.kernel[i] * w.dilations[i];
      at += position % w.strides[i] * phase_step_[i] + position / w.strides[i] * pitch_[i];
    }
    offsets_.push_back(at);
  }
  find_lines();
}

void FlatWindows::find_lines() {
  const size_t inner = window_.rank() - 1;
  for (int64_t line = 0; line < window_.output_size() / window_.output[inner]; ++line) {
    int64_t rest = line, at = 0;
    for (size_t i = inner; i-- > 0; rest /= window_.output[i]) {
      at += rest % window_.output[i] * pitch_[i];
    }
    output_lines_.push_back(at);
  }
  for (int64_t line = 0; line < window_.input_size() / window_.input[inner]; ++line) {
    int64_t rest = line, at = 0;
    bool read = true;
    for (size_t i = inner; i-- > 0; rest /= window_.input[i]) {
      const int64_t position = rest % window_.input[i] + window_.pads[i];
      const int64_t step = window_.strides[i];
      read = read && position >= 0 && position / step < reach_[i];
      at += position % step * phase_step_[i] + position / step * pitch_[i];
    }
    if (read) input_lines_.push_back({line, at});
  }
}

}  // namespace onnxrun
