// Values that parameters start from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// The names that `text` stands for: itself, or all that match it as a glob. Throws Usage, naming
// `what`, if there are none.
std::vector<std::string> matching_names(std::string_view what, const std::string& text,
                                        const std::vector<std::string>& names);

// Puts new values in place of an initializer's, drawn by seed and name alone: "xavier", "he",
// "uniform:A:B", "normal:MEAN:DEVIATION", "zeros" (TrainerOptions::initial). Inputs and outputs of
// a weight are counted as the node that reads it does: [in,out] of MatMul and Gemm, [out,in,...] of
// convolutions and of what is transposed on the way. Throws Usage for another text, and for xavier
// and he of a tensor with one axis.
void set_initial(Graph& graph, const std::string& name, const std::string& how, uint64_t seed);

}  // namespace onnxrun
