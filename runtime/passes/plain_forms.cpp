#include "passes/plain_forms.h"

#include <algorithm>

#include "graph/builder.h"
#include "graph/node_attributes.h"
#include "passes/plain_loops.h"

namespace onnxrun {

namespace {

using Ints = std::vector<int64_t>;

bool is(const Node& node, std::string_view name) {
  return node.info->spec.domain.empty() && node.info->spec.name == name;
}

// The amounts of a Pad that takes elements away; empty for all others.
Ints negative_pads(const Graph& graph, const Node& node) {
  const Tensor* pads = is(node, "Pad") ? graph.constant(node.inputs[1]) : nullptr;
  if (!pads) return {};
  Ints list(pads->data<int64_t>(), pads->data<int64_t>() + pads->size());
  bool takes_away = std::any_of(list.begin(), list.end(), [](int64_t n) { return n < 0; });
  return takes_away ? list : Ints();
}

void append_plain_pad(Graph& graph, Node node, Ints pads) {
  GraphBuilder b(graph, "plain/");
  size_t count = pads.size() / 2;
  Ints starts, ends;
  for (size_t i = 0; i < count; ++i) {
    starts.push_back(std::max<int64_t>(0, -pads[i]));
    ends.push_back(pads[count + i] < 0 ? pads[count + i] : INT64_MAX);
  }
  std::vector<ValueId> bounds = {node.inputs[0], b.ints(starts), b.ints(ends)};
  bool has_axes = node.inputs.size() > 3 && node.inputs[3] != no_value;
  if (has_axes) bounds.push_back(node.inputs[3]);
  node.inputs[0] = b.add("Slice", std::move(bounds));
  for (int64_t& n : pads) n = std::max<int64_t>(0, n);
  node.inputs[1] = b.ints(std::move(pads));
  graph.nodes.push_back(std::move(node));
}

// The groups of a ConvTranspose that has several, unless each is one channel.
int64_t several_groups(const Graph& graph, const Node& node) {
  if (!is(node, "ConvTranspose")) return 1;
  int64_t groups = attribute_or<int64_t>(node, "group", 1);
  const auto& weight = graph.value(node.inputs[1]).type.shape;
  bool of_one_channel = weight && (*weight)[0] == Dim(groups) && (*weight)[1] == Dim(1);
  return of_one_channel ? 1 : groups;
}

void append_plain_transposed_convolution(Graph& graph, const Node& node, int64_t groups) {
  GraphBuilder b(graph, "plain/");
  auto parts = [&](size_t input, int64_t axis) {
    NodeOptions options;
    options.attributes = {{"axis", axis}, {"num_outputs", groups}};
    return b.add_n("Split", {node.inputs[input]}, static_cast<size_t>(groups), std::move(options));
  };
  Attributes attributes = attributes_of(node);
  attributes.erase("group");
  std::vector<ValueId> x = parts(0, 1), w = parts(1, 0), results;
  for (size_t k = 0; k < x.size(); ++k) {
    results.push_back(b.add("ConvTranspose", {x[k], w[k]}, attributes));
  }
  ValueId y = b.add("Concat", std::move(results), {{"axis", int64_t{1}}});
  if (node.inputs.size() > 2 && node.inputs[2] != no_value) {
    ValueId behind = b.add("Sub", {b.shape_of(b.shape_of(y)), b.ints({2})});
    ValueId ones = b.add("ConstantOfShape", {behind}, {{"value", Tensor::of<int64_t>({1}, {1})}});
    ValueId shape = b.add("Concat", {b.ints({-1}), ones}, {{"axis", int64_t{0}}});
    b.add("Add", {y, b.add("Reshape", {node.inputs[2], shape})});
  }
  graph.nodes.back().outputs = node.outputs;
}

// True for nodes that give running statistics of a batch.
bool moves_statistics(const Graph& graph, const Node& node) {
  return is(node, "BatchNormalization") && node.outputs.size() > 1 &&
         graph.value(node.inputs[0]).type.shape;
}

// y = (x - mean) / sqrt(var + epsilon) * scale + bias, with the batch's mean and variance of each
// channel; statistics move by momentum.
class PlainBatchNormalization {
 public:
  PlainBatchNormalization(Graph& graph, Node node)
      : b_(graph, "plain/"), node_(std::move(node)), rank_(b_.rank(node_.inputs[0])) {}

  void emit() {
    for (int64_t i = 0; i < rank_; ++i) {
      if (i != 1) axes_.push_back(i);
    }
    ValueId x = node_.inputs[0], mean = mean_of(x);
    ValueId centred = b_.add("Sub", {x, mean}), var = mean_of(b_.add("Mul", {centred, centred}));
    double epsilon = static_cast<double>(attribute_or(node_, "epsilon", 1e-5f));
    ValueId deviation = b_.add("Sqrt", {b_.add("Add", {var, b_.scalar_like(epsilon, var)})});
    ValueId scale = b_.add("Div", {by_channel(node_.inputs[1]), deviation});
    ValueId y = b_.add("Mul", {centred, scale});
    b_.add("Add", {y, by_channel(node_.inputs[2])});
    finish(0);
    move(node_.inputs[3], mean);
    finish(1);
    if (node_.outputs.size() < 3) return;
    move(node_.inputs[4], var);
    finish(2);
  }

 private:
  ValueId mean_of(ValueId v) { return b_.add("ReduceMean", {v, b_.ints(axes_)}); }
  ValueId by_channel(ValueId v) { return b_.unsqueeze(v, axes_); }

  void move(ValueId old, ValueId batch) {
    double momentum = static_cast<double>(attribute_or(node_, "momentum", 0.9f));
    ValueId kept = b_.add("Mul", {old, b_.scalar_like(momentum, old)});
    ValueId news = b_.add("Mul", {b_.squeeze(batch, axes_), b_.scalar_like(1 - momentum, batch)});
    b_.add("Add", {kept, news});
  }

  // The last node's result is the batch normalization's output.
  void finish(size_t output) {
    if (node_.outputs[output] == no_value) return;
    b_.graph().nodes.back().outputs = {node_.outputs[output]};
  }

  GraphBuilder b_;
  Node node_;
  int64_t rank_;
  Ints axes_;
};

}  // namespace

void use_plain_forms(Graph& graph) {
  std::vector<Node> nodes = std::move(graph.nodes);
  graph.nodes.clear();
  for (Node& node : nodes) {
    for (Graph& body : node.bodies) use_plain_forms(body);
    if (is(node, "Scan")) {
      append_plain_scan(graph, std::move(node));
    } else if (is(node, "Loop")) {
      append_plain_loop(graph, std::move(node));
    } else if (moves_statistics(graph, node)) {
      PlainBatchNormalization(graph, std::move(node)).emit();
    } else if (int64_t groups = several_groups(graph, node); groups > 1) {
      append_plain_transposed_convolution(graph, node, groups);
    } else if (Ints pads = negative_pads(graph, node); !pads.empty()) {
      append_plain_pad(graph, std::move(node), std::move(pads));
    } else {
      graph.nodes.push_back(std::move(node));
    }
  }
}

}  // namespace onnxrun
