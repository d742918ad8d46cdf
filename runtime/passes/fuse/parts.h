// Sums of parts that lie beside each other.
#pragma once

#include "graph/graph.h"

namespace onnxrun {

// A weight that is read in slices gets its gradient as a sum of tensors, each of zeros but for one
// slice. Where the slices are all of it, they are joined instead. Bits stay: a zero of the sum is
// positive.
void fuse_parts(Graph& graph);

}  // namespace onnxrun
