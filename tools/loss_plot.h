// Curves of a training as a picture.
#pragma once

#include <string>
#include <vector>

namespace onnxrun {

struct PlotSeries {
  std::string name;
  std::vector<double> x, y;  // equally many; points that are not finite leave a gap
};

struct PlotLabels {
  std::string title = "Training";
  std::string x = "epoch";
  std::string y = "loss";
};

// A self-contained SVG document (no scripts, fonts or links) with axes, ticks, a grid, one curve a
// series and a legend that gives its last value. The y axis is logarithmic if all values are
// positive and the largest is more than 100 times the smallest. Long series keep the extremes of
// every pixel column, so the document stays small. Equal data give equal bytes.
std::string loss_plot(const std::vector<PlotSeries>& series, const PlotLabels& labels = {});

}  // namespace onnxrun
