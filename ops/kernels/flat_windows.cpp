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
  FlatWindows flat(w, limits.whole_lines);
  if (flat.size_ > 2 * w.output_size()) return std::nullopt;
  return flat;
}

FlatWindows::FlatWindows(const Window& w, bool whole_lines)
    : window_(w),
      phases_of_(w.strides),
      pitch_(w.rank()),
      phase_step_(w.rank()),
      reach_(w.rank()),
      step_(whole_lines ? w.strides.back() : 1) {
  if (whole_lines) phases_of_.back() = 1;
  int64_t phase = 1;
  for (size_t i = w.rank(); i-- > 0;) {
    int64_t padded = (w.output[i] - 1) * w.strides[i] + w.extent(i);
    reach_[i] = (padded + w.strides[i] - 1) / w.strides[i] * (w.strides[i] / phases_of_[i]);
    pitch_[i] = phase;
    phase *= reach_[i];
  }
  plane_ = phase;
  for (size_t i = w.rank(); i-- > 0;) {
    phase_step_[i] = plane_;
    plane_ *= phases_of_[i];
  }
  size_ = w.output.back();
  for (size_t i = 0; i + 1 < w.rank(); ++i) size_ += (w.output[i] - 1) * (pitch_[i] / step_);
  for (int64_t tap = 0; tap < w.kernel_size(); ++tap) {
    int64_t rest = tap, at = 0;
    for (size_t i = w.rank(); i-- > 0; rest /= w.kernel[i]) {
      int64_t position = rest % w.kernel[i] * w.dilations[i];
      at += position % phases_of_[i] * phase_step_[i] + position / phases_of_[i] * pitch_[i];
    }
    offsets_.push_back(at);
  }
  find_lines();
  find_phases();
}

void FlatWindows::find_lines() {
  const size_t inner = window_.rank() - 1;
  for (int64_t line = 0; line < window_.output_size() / window_.output[inner]; ++line) {
    int64_t rest = line, at = 0;
    for (size_t i = inner; i-- > 0; rest /= window_.output[i]) {
      at += rest % window_.output[i] * (pitch_[i] / step_);
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
  std::sort(input_lines_.begin(), input_lines_.end(),
            [](const InputLine& a, const InputLine& b) { return a.at < b.at; });
}

void FlatWindows::find_phases() {
  const int64_t step = phases_of_.back(), length = window_.input.back();
  for (int64_t phase = 0; phase < step; ++phase) {
    // Element q of the phase is element q * step - shift of the line.
    const int64_t shift = window_.pads.back() - phase;
    const int64_t first = std::max<int64_t>(0, (shift + step - 1) / step);
    const int64_t last =
        std::min(reach_.back(), length + shift > 0 ? (length + shift + step - 1) / step : 0);
    if (first >= last) continue;
    phases_.push_back({first * step - shift, last - first, phase * phase_step_.back() + first});
  }
}

}  // namespace onnxrun
