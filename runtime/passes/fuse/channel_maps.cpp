#include "passes/fuse/channel_maps.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/channel_map.h"

namespace onnxrun {

namespace {

struct Folded {
  Tensor weight, bias;
  int64_t bytes() const { return weight.bytes() + bias.bytes(); }
};

// `bias` may be null.
template <typename T>
std::optional<Folded> fold(const ChannelWeights& at, const ChannelMap& map, const Tensor& weight,
                           const Tensor* bias) {
  Folded result{Tensor(weight.dtype(), weight.dims()),
                Tensor(weight.dtype(), {at.groups * at.channels})};
  const T* w = weight.data<T>();
  T* scaled = result.weight.data<T>();
  bool finite = true;
  for (int64_t g = 0; g < at.groups; ++g) {
    for (int64_t o = 0; o < at.outer; ++o) {
      for (int64_t c = g * at.channels; c < (g + 1) * at.channels; ++c) {
        const double scale = map.scale[static_cast<size_t>(c)];
        for (int64_t i = 0; i < at.inner; ++i) {
          *scaled = static_cast<T>(static_cast<double>(*w++) * scale);
          finite = finite && std::isfinite(*scaled++);
        }
      }
    }
  }
  for (int64_t c = 0; c < result.bias.size(); ++c) {
    const auto k = static_cast<size_t>(c);
    const double old = bias ? static_cast<double>(bias->data<T>()[c]) : 0;
    T& moved = result.bias.data<T>()[c];
    moved = static_cast<T>(old * map.scale[k] + map.shift[k]);
    finite = finite && std::isfinite(moved);
  }
  return finite ? std::optional(std::move(result)) : std::nullopt;
}

// One element a channel, along the last axis as axis 1 broadcasts.
bool is_bias(const Tensor& bias, DType dtype, int64_t channels) {
  return bias.dtype() == dtype && bias.size() == channels && bias.rank() > 0 &&
         bias.dims().back() == channels;
}

class ChannelMapFolder {
 public:
  ChannelMapFolder(Graph& graph, int64_t max_added)
      : graph_(graph), left_(max_added), uses_(graph.use_counts()), producers_(graph.producers()) {}

  // Removes the nodes that became part of others; returns the bytes added.
  int64_t run() {
    for (Node& node : graph_.nodes) {
      const auto* mapper = dynamic_cast<const MapsChannels*>(node.op.get());
      if (!mapper || node.inputs.empty() || node.inputs[0] == no_value) continue;
      const int from = producers_[static_cast<size_t>(node.inputs[0])];
      if (from < 0 || uses_[static_cast<size_t>(node.inputs[0])] != 1) continue;
      Node& product = graph_.nodes[static_cast<size_t>(from)];
      const auto map = mapper->channel_map(graph_, node);
      if (map && absorb(product, *map)) {
        product.outputs[0] = node.outputs[0];
        producers_[static_cast<size_t>(node.outputs[0])] = from;
        node.op = nullptr;
      }
    }
    std::erase_if(graph_.nodes, [](const Node& n) { return n.op == nullptr; });
    return added_;
  }

 private:
  // Gives the product the map's weights and bias if it is one that can take them.
  bool absorb(Node& product, const ChannelMap& map) {
    const auto* weighs = dynamic_cast<const WeighsChannels*>(product.op.get());
    if (!weighs || product.outputs.size() != 1 || product.captures > 0) return false;
    const Tensor* weight = graph_.constant(product.inputs[1]);
    if (!weight) return false;
    const bool has_bias = product.inputs.size() > 2 && product.inputs[2] != no_value;
    const Tensor* bias = has_bias ? graph_.constant(product.inputs[2]) : nullptr;
    const auto at = weighs->channel_weights(weight->dims());
    if (!at || (has_bias && !bias)) return false;
    const int64_t channels = at->groups * at->channels;
    const bool fits = static_cast<int64_t>(map.scale.size()) == channels &&
                      (!bias || is_bias(*bias, weight->dtype(), channels));
    if (!fits || weight->bytes() > left_) return false;
    std::optional<Folded> folded;
    if (weight->dtype() == DType::Float32) folded = fold<float>(*at, map, *weight, bias);
    if (weight->dtype() == DType::Float64) folded = fold<double>(*at, map, *weight, bias);
    if (!folded || folded->bytes() > left_) return false;
    left_ -= folded->bytes();
    added_ += folded->bytes();
    const std::string name = graph_.name_of(product.inputs[1]);
    product.inputs.resize(3, no_value);
    product.inputs[1] = graph_.add_initializer(name, std::move(folded->weight));
    product.inputs[2] = graph_.add_initializer(name, std::move(folded->bias));
    return true;
  }

  Graph& graph_;
  int64_t left_, added_ = 0;
  std::vector<int> uses_, producers_;
};

}  // namespace

int64_t fuse_channel_maps(Graph& graph, int64_t max_added) {
  int64_t added = 0;
  for (Node& node : graph.nodes) {
    for (Graph& body : node.bodies) added += fuse_channel_maps(body, max_added - added);
  }
  return added + ChannelMapFolder(graph, max_added - added).run();
}

}  // namespace onnxrun
