// What folds a normalisation of constant statistics into the product before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "graph/graph.h"

namespace onnxrun {

// y = x * scale + shift with one pair for each channel: an element along axis 1.
struct ChannelMap {
  std::vector<double> scale, shift;
};

// What an operator is too, if some of its nodes map the channels of input 0 to output 0 and give
// nothing else.
class MapsChannels {
 public:
  // None where `node` does not, or where an operand is not a constant of `graph`.
  virtual std::optional<ChannelMap> channel_map(const Graph& graph, const Node& node) const = 0;

 protected:
  ~MapsChannels() = default;
};

// How weights lie: [groups][outer][channels][inner] in memory, where channel c of group g is
// channel g * channels + c of the result.
struct ChannelWeights {
  int64_t groups = 1, outer = 1, channels = 0, inner = 1;
};

// What an operator is too, if output 0 is linear in the weight (input 1) with a bias (input 2, may
// be left out) added to each channel.
class WeighsChannels {
 public:
  // Of a weight of these lengths; none for a node whose bias is more than that.
  virtual std::optional<ChannelWeights> channel_weights(const Dims& weight) const = 0;

 protected:
  ~WeighsChannels() = default;
};

}  // namespace onnxrun
