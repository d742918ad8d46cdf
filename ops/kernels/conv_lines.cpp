#include "kernels/conv_lines.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "kernels/im2col.h"

namespace onnxrun {

namespace {

constexpr int64_t shortest_line = 4;
// Elements of all padded planes, and of the lines that one line meets: what caches hold.
constexpr int64_t most_padded = 1 << 20, most_met = 1 << 17;
// Planes whose distance is a multiple of this many elements share the sets of a first-level cache.
constexpr int64_t cache_way = 1024, cache_line = 16;

int64_t lines_of(const Dims& dims) { return element_count(Dims(dims.begin(), dims.end() - 1)); }

// Whether a line of these taps is the next of the run; its second line says what the step is.
bool continues(ConvLines::Run& run, const std::vector<std::vector<LineTap>>& taps) {
  std::optional<int64_t> step;
  if (run.lines > 1) step = run.step;
  for (size_t phase = 0; phase < taps.size(); ++phase) {
    const auto next = [&](const LineTap& a, const LineTap& b) {
      if (!step) step = b.input - a.input;
      return a.position == b.position && b.input == a.input + run.lines * *step;
    };
    const std::vector<LineTap>& first = run.taps[phase];
    if (!std::equal(first.begin(), first.end(), taps[phase].begin(), taps[phase].end(), next)) {
      return false;
    }
  }
  run.step = step.value_or(0);
  return true;
}

}  // namespace

ConvLines::ConvLines(const Window& w, bool of_input)
    : window_(w),
      of_input_(of_input),
      source_(of_input ? w.output : w.input),
      target_(of_input ? w.input : w.output),
      lines_(lines_of(target_)),
      source_lines_(lines_of(source_)),
      phases_(of_input ? w.strides.back() : 1),
      step_(of_input ? 1 : w.strides.back()) {
  int64_t right = source_length();
  for (int64_t phase = 0; phase < std::min(phases_, length()); ++phase) {
    find_columns(phase);
    for (const LineTap& column : columns_.back()) {
      left_ = std::max(left_, -column.input);
      right = std::max(right, column.input + (pixels(phase) - 1) * step_ + 1);
    }
  }
  pitch_ = left_ + right;
}

void ConvLines::find_columns(int64_t phase) {
  std::vector<LineTap>& columns = columns_.emplace_back();
  const int64_t width = window_.kernel.back();
  for (int64_t n = 0; n < width; ++n) {
    // Later positions meet earlier elements of what the windows gave.
    const int64_t k = of_input_ ? width - 1 - n : n;
    const int64_t tap = k * window_.dilations.back() - window_.pads.back();
    if (!of_input_) {
      columns.push_back({tap, k});
    } else if ((phase - tap) % phases_ == 0) {
      columns.push_back({(phase - tap) / phases_, k});
    }
  }
}

bool ConvLines::fits(int64_t channels) const {
  const bool sound = length() >= shortest_line && source_lines_ > 0 && source_length() > 0 &&
                     pitch_ <= 2 * source_length();
  if (!sound || pitch_ > most_met / channels / lines_of(window_.kernel)) return false;
  return !is_padded() || source_lines_ <= most_padded / channels / pitch_;
}

int64_t ConvLines::plane_size() const {
  const int64_t size = source_lines_ * pitch_;
  return is_padded() && size % cache_way == 0 ? size + cache_line : size;
}

const ConvLines::Run& ConvLines::run_of(int64_t line) const {
  const auto behind = std::upper_bound(runs_.begin(), runs_.end(), line,
                                       [](int64_t at, const Run& run) { return at < run.first; });
  return *std::prev(behind);
}

// Where all taps meet little of it and a line is summed in one piece (looking at every tap costs
// longer ones more), unless channels share the sets of a cache.
void ConvLines::leave_out_padding() {
  constexpr int64_t shortest = 8;
  if (!is_padded() || phases_ > 1 || step_ > 1) return;
  if (length() < shortest || length() > longest_left_out) return;
  if (source_lines_ * source_length() % cache_way == 0) return;
  std::vector<LineTap> columns = columns_[0];
  for (LineTap& column : columns) {
    const int64_t before = std::max<int64_t>(0, -column.input);
    const int64_t behind = std::max<int64_t>(0, column.input + length() - source_length());
    if (before > most_left_out || behind > most_left_out) return;
    const auto left = static_cast<uint8_t>(3 * before), right = static_cast<uint8_t>(behind);
    column.left_out = {0, left, right, static_cast<uint8_t>(left + right)};
  }
  columns_[0] = std::move(columns);
  leaves_out_ = true;
  left_ = 0;
  pitch_ = source_length();
}

std::optional<ConvLines> ConvLines::of(const Window& w, bool of_input, int64_t channels,
                                       bool leaves_out) {
  ConvLines lines(w, of_input);
  if (!lines.fits(channels)) return std::nullopt;
  if (leaves_out) lines.leave_out_padding();
  lines.find_runs();
  return lines;
}

void ConvLines::find_runs() {
  for (int64_t line = 0; line < lines_; ++line) {
    std::vector<std::vector<LineTap>> taps;
    for (int64_t phase = 0; phase < static_cast<int64_t>(columns_.size()); ++phase) {
      taps.push_back(taps_of(line, phase));
    }
    if (line > 0 && continues(runs_.back(), taps)) {
      ++runs_.back().lines;
    } else {
      runs_.push_back({.first = line, .taps = std::move(taps)});
    }
  }
}

std::optional<int64_t> ConvLines::met(size_t i, int64_t at, int64_t k) const {
  const int64_t tap = k * window_.dilations[i] - window_.pads[i];
  int64_t element = at * window_.strides[i] + tap;
  if (of_input_) {
    if ((at - tap) % window_.strides[i] != 0) return std::nullopt;
    element = (at - tap) / window_.strides[i];
  }
  return element >= 0 && element < source_[i] ? std::optional(element) : std::nullopt;
}

std::vector<LineTap> ConvLines::taps_of(int64_t line, int64_t phase) const {
  std::vector<LineTap> taps;
  const size_t inner = window_.rank() - 1;
  std::array<int64_t, max_spatial_axes> at;  // NOLINT: as many are set as there are axes
  for (size_t i = inner; i-- > 0; line /= target_[i]) at[i] = line % target_[i];
  const int64_t outer = lines_of(window_.kernel);
  for (int64_t n = 0; n < outer; ++n) {
    const int64_t position = of_input_ ? outer - 1 - n : n;
    int64_t source = 0, step = pitch_, rest = position;
    bool inside = true;
    for (size_t i = inner; i-- > 0 && inside; rest /= window_.kernel[i]) {
      const std::optional<int64_t> element = met(i, at[i], rest % window_.kernel[i]);
      inside = element.has_value();
      source += inside ? *element * step : 0;
      step *= source_[i];
    }
    if (!inside) continue;
    for (const LineTap& column : columns_[static_cast<size_t>(phase)]) {
      LineTap tap = column;
      tap.input += source + left_;
      tap.position += position * window_.kernel.back();
      taps.push_back(tap);
    }
  }
  return taps;
}

}  // namespace onnxrun
