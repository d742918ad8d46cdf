// Names that were nearly right.
#pragma once

#include <string>
#include <vector>

namespace onnxrun {

// The name nearest to `name`, for messages; "" if none is near. Distances count letters put in,
// left out, exchanged or swapped (Damerau 1964, restricted), a third of the length at most.
std::string nearest(const std::string& name, const std::vector<std::string>& names);

}  // namespace onnxrun
