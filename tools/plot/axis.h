// Axes of pictures.
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace onnxrun {

// What values lie between.
struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  // Numbers that are not finite do not count.
  void add(double v);
  bool empty() const { return low > high; }
};

struct Tick {
  double value;
  std::string label;
};

// From data to pixels along one direction.
struct Axis {
  double low, high;   // of the data; their logarithms if `logarithmic`
  double start, end;  // in pixels
  bool logarithmic = false;
  std::vector<Tick> ticks = {};

  double pixel(double value) const;
};

// The axis ends where the data end. Ticks are whole numbers if `whole`.
Axis tight_axis(Range range, double start, double end, double ticks, bool whole);
// The same by powers of ten, of positive values that differ.
Axis tight_log_axis(Range range, double start, double end);
// With a margin, but none below zero for data that are not; logarithmic if all values are positive
// and the largest is more than 100 times the smallest, unless `linear`.
Axis roomy_axis(Range range, double start, double end, bool linear);

}  // namespace onnxrun
