// Normalisations of constant statistics become part of the weights before them.
#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace onnxrun {

// A product with a constant weight whose result only a channel map reads (graph/channel_map.h)
// becomes one product with other weights and another bias, computed in double. Weights of a type
// other than float and double, and those whose new elements are not all finite, are left alone, as
// is what would take more than `max_added` bytes together. Bodies are rewritten too. Returns the
// bytes added.
int64_t fuse_channel_maps(Graph& graph, int64_t max_added);

}  // namespace onnxrun
