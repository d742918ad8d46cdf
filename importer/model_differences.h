// What two model files say differently, apart from the elements of their tensors.
#pragma once

#include <string>
#include <vector>

namespace onnxrun {

// One line a difference: "modified: graph.node[3].name: \"a\" -> \"b\"". Two things do not count:
// elements of tensors that a graph's initializers show (those of the main graph, and floating-point
// ones anywhere), and the `location` of external data. Unknown fields do count. Throws BadModel for
// a file that cannot be read.
std::vector<std::string> differences_beside_elements(const std::string& path_a,
                                                     const std::string& path_b);

}  // namespace onnxrun
