#include "plot/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace onnxrun {

namespace {

constexpr double log_ratio = 100;

// 1, 2 or 5 times a power of ten, for about `count` steps.
double nice_step(double range, double count) {
  double raw = range / count, power = std::pow(10, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * 0.999) return factor * power;
  }
  return 10 * power;
}

// Room beside an axis is for six characters: 0.001, 250000, but 1e-4, 1.25e-5.
std::string short_label(double value) {
  std::string plain = fmt::format("{:.6g}", value);
  bool has_power = plain.find('e') != std::string::npos;
  if (plain.size() < 6 && !has_power) return plain;
  std::string power = fmt::format("{:.3e}", value);
  size_t e = power.find('e');
  if (e == std::string::npos) return plain;
  std::string digits = power.substr(0, e);
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.back() == '.') digits.pop_back();
  power = fmt::format("{}e{}", digits, std::stoi(power.substr(e + 1)));
  return has_power || power.size() < plain.size() ? power : plain;
}

void set_linear_ticks(Axis& axis, double count, bool whole) {
  double step = nice_step(axis.high - axis.low, count);
  if (whole) step = std::max(1.0, step);
  double first = std::ceil(axis.low / step - 1e-9);
  constexpr int most = 50;
  for (int i = 0; i < most; ++i) {
    double value = (first + i) * step;
    if (!(value <= axis.high + step * 1e-9)) return;
    // A multiple of the step that should be zero.
    if (std::abs(value) < step * 1e-9) value = 0;
    axis.ticks.push_back({value, whole ? fmt::format("{:.6g}", value) : short_label(value)});
  }
}

void set_log_ticks(Axis& axis) {
  auto first = static_cast<int>(std::floor(axis.low)),
       last = static_cast<int>(std::ceil(axis.high));
  int stride = std::max(1, (last - first) / 8);
  bool between = last - first <= 3;
  for (int power = first; power <= last; power += stride) {
    for (double factor : {1.0, 2.0, 5.0}) {
      double value = factor * std::pow(10, power), place = std::log10(value);
      if (place < axis.low - 1e-9 || place > axis.high + 1e-9 || (factor > 1 && !between)) continue;
      axis.ticks.push_back({value, short_label(value)});
    }
  }
}

}  // namespace

void Range::add(double v) {
  if (!std::isfinite(v)) return;
  low = std::min(low, v);
  high = std::max(high, v);
}

double Axis::pixel(double value) const {
  double v = logarithmic ? std::log10(value) : value;
  return start + (v - low) / (high - low) * (end - start);
}

Axis tight_axis(Range range, double start, double end, double ticks, bool whole) {
  if (range.empty()) range = {0, 1};
  if (range.low == range.high) range = {range.low - 1, range.high + 1};
  Axis axis{range.low, range.high, start, end};
  set_linear_ticks(axis, ticks, whole);
  return axis;
}

Axis tight_log_axis(Range range, double start, double end) {
  Axis axis{std::log10(range.low), std::log10(range.high), start, end, true};
  set_log_ticks(axis);
  return axis;
}

Axis roomy_axis(Range range, double start, double end, bool linear) {
  if (range.empty()) range = {0, 1};
  bool logarithmic = !linear && range.low > 0 && range.high / range.low > log_ratio;
  if (logarithmic) range = {std::log10(range.low), std::log10(range.high)};
  // An empty range, or one lost in rounding, gets the size of the values themselves.
  double size = std::max(std::abs(range.low), std::abs(range.high));
  double span = range.high - range.low;
  if (span <= size * 1e-12) span = size > 0 ? size : 1;
  double margin = span * (range.high > range.low ? 0.05 : 0.5);
  Axis axis{range.low - margin, range.high + margin, start, end, logarithmic};
  // Losses end at zero: a margin below it would promise negative ones.
  if (!logarithmic && range.low >= 0 && axis.low < 0) axis.low = 0;
  if (logarithmic) {
    set_log_ticks(axis);
  } else {
    set_linear_ticks(axis, 6, false);
  }
  return axis;
}

}  // namespace onnxrun
