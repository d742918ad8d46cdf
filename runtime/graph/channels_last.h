// What keeps images with their channels as the last axis, [batch, spatial..., channels], between
// the operators of a machine graph.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "graph/graph.h"

namespace onnxrun {

// The same computation where input 0, or all inputs, and output 0 have their channels last. Other
// inputs are as they were.
struct ChannelsLastForm {
  std::string op;  // qualified name
  Attributes attributes;
  bool all_images = false;
  // Its kernel is the faster for it: it neither lays out what it reads nor what it gives.
  bool saves = false;
  // With the attribute `planes`, 1, input 0 has its channels as its second axis.
  bool reads_planes = false;
};

// What an operator is too, if some of its nodes have such a form. Operators whose traits say
// `elementwise` need none: they are their own.
class HasChannelsLastForm {
 public:
  virtual std::optional<ChannelsLastForm> channels_last_form(const Graph& graph,
                                                             const Node& node) const = 0;

 protected:
  ~HasChannelsLastForm() = default;
};

}  // namespace onnxrun
