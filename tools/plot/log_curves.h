// Curves of the logs that `train` writes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plot/figure.h"

namespace onnxrun::tool {

// One curve for each of `fields` (all whose name has "loss" in it if empty) of each file, over the
// epochs, or over the steps where there is one epoch only; `x_label` says which. With several files
// the curves are named for theirs, too. Throws BadInput for what is no log, naming the fields.
std::vector<PlotSeries> log_curves(const std::vector<std::string>& files,
                                   const std::vector<std::string>& fields, int64_t max_memory,
                                   std::string& x_label);

}  // namespace onnxrun::tool
