// Curves of the logs that `train` writes.
#pragma once

#include <string>
#include <vector>

#include "plot/figure.h"

namespace onnxrun::tool {

// One curve for each of `fields` (all whose name has "loss" in it if empty) of each file, over the
// epochs, or over the steps where an epoch has several rows or is the only one; `x_label` says
// which. With several files the curves are named for theirs, too. Throws BadInput for what is no
// log, naming the fields.
std::vector<PlotSeries> log_curves(const std::vector<std::string>& files,
                                   const std::vector<std::string>& fields, std::string& x_label);

}  // namespace onnxrun::tool
