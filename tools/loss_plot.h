// Curves of a training as a picture.
#pragma once

#include <string>
#include <vector>

#include "plot/figure.h"

namespace onnxrun {

// A picture with one curve a series and a legend that gives its last value. The y axis is
// logarithmic if all values are positive and the largest is more than 100 times the smallest.
std::string loss_plot(const std::vector<PlotSeries>& series, const PlotLabels& labels = {},
                      PictureFormat format = PictureFormat::Svg);

}  // namespace onnxrun
