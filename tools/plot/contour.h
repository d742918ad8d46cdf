// Lines where values over a plane cross a level.
#pragma once

#include <vector>

#include "plot/canvas.h"

namespace onnxrun {

// Pieces of lines, in cells: (0, 0) is the first value of `values`, (1, 0) the second. By marching
// squares (Lorensen and Cline 1987 in two dimensions). Values that are not finite have no lines
// near them.
std::vector<std::vector<Place>> contour(const std::vector<double>& values, int columns,
                                        double level);

}  // namespace onnxrun
