// Nets whose images have their channels last between convolutions keep every bit.
#include "passes/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/threads.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "passes/lower.h"
#include "support/graph_tester.h"
#include "tensor/tensor.h"

namespace onnxrun::testing {

namespace {

using Numbers = std::vector<int64_t>;

struct ImageNet {
  Graph graph{builtin_ops()};
  GraphBuilder b{graph};
  DType dtype = DType::Float32;
  ValueId x = no_value;
  uint32_t seed = 1;

  explicit ImageNet(Shape shape, DType type = DType::Float32) : dtype(type) {
    x = graph.add_input("x", Type::tensor(dtype, std::move(shape)));
  }

  ValueId weights(const Dims& dims) {
    return graph.add_initializer(graph.unique_name("w"),
                                 convert(random_tensor(dims, ++seed), dtype));
  }
  ValueId conv(ValueId v, const Dims& w, Attributes attributes = {}) {
    return b.add("Conv", {v, weights(w), weights({w[0]})}, std::move(attributes));
  }
  ValueId relu(ValueId v) { return b.add("Relu", {v}); }
  ValueId pool(ValueId v, const Numbers& kernel, Attributes attributes = {}) {
    attributes["kernel_shape"] = kernel;
    return b.add("MaxPool", {v}, std::move(attributes));
  }

  Tensor input(const Dims& dims, uint32_t at = 100) const {
    return convert(random_tensor(dims, at), dtype);
  }
};

const Attributes padded_by_one{{"pads", Numbers{1, 1, 1, 1}}};
const Attributes halved{{"pads", Numbers{1, 1, 1, 1}}, {"strides", Numbers{2, 2}}};

Attributes in_groups(int64_t groups, Attributes attributes = padded_by_one) {
  attributes["group"] = groups;
  return attributes;
}

int64_t nodes_of(const Graph& graph, std::string_view op) {
  return std::count_if(graph.nodes.begin(), graph.nodes.end(),
                       [&](const Node& n) { return n.info->spec.name == op; });
}

void expect_equal_bits(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.dims(), b.dims());
  ASSERT_EQ(a.dtype(), b.dtype());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())), 0);
}

// The graph laid out, after the results have been compared on every number of threads and row by
// row.
Graph laid_out(const Graph& graph, const std::vector<Tensor>& inputs) {
  Graph last = graph;
  lay_channels_last(last);
  verify(last);
  EXPECT_EQ(last.outputs, graph.outputs);
  for (size_t o = 0; o < graph.outputs.size(); ++o) {
    EXPECT_EQ(last.value(last.outputs[o]).type.to_string(),
              graph.value(graph.outputs[o]).type.to_string());
  }
  const std::vector<Tensor> expected = run_graph(graph, inputs);
  for (int threads : {1, 2, 3}) {
    ThreadScope scope(threads);
    const std::vector<Tensor> results = run_graph(last, inputs);
    for (size_t o = 0; o < expected.size(); ++o) expect_equal_bits(results[o], expected[o]);
  }
  return last;
}

// A convolution of every kind, what stands between them, two images that are added.
ValueId residual_net(ImageNet& net) {
  const ValueId stem = net.relu(net.conv(net.x, {16, 3, 3, 3}, halved));
  const ValueId wide = net.relu(net.conv(stem, {24, 16, 1, 1}));
  const ValueId deep = net.relu(net.conv(wide, {24, 1, 3, 3}, in_groups(24)));
  const ValueId narrow = net.conv(deep, {16, 24, 1, 1});
  const ValueId sum = net.relu(net.b.add("Add", {narrow, stem}));
  return net.conv(net.pool(sum, {2, 2}, {{"strides", Numbers{2, 2}}}), {24, 16, 3, 3},
                  padded_by_one);
}

TEST(LayChannelsLast, ANetKeepsItsBits) {
  ImageNet net({2, 3, 18, 22});
  net.graph.outputs = {residual_net(net)};
  const Graph last = laid_out(net.graph, {net.input({2, 3, 18, 22})});
  EXPECT_EQ(nodes_of(last, "ChannelsLastConv"), 5);
  EXPECT_EQ(nodes_of(last, "ChannelsLastMaxPool"), 1);
  EXPECT_EQ(nodes_of(last, "Conv"), 0);
  EXPECT_EQ(nodes_of(last, "Transpose"), 1);
}

TEST(LayChannelsLast, LoweredItHasFewerNodes) {
  ImageNet net({2, 3, 18, 22});
  net.graph.outputs = {residual_net(net)};
  const std::vector<Tensor> inputs{net.input({2, 3, 18, 22})};
  const auto machine = lower(net.graph);
  EXPECT_EQ(nodes_of(machine->graph(), "ChannelsLastConv"), 5);
  EXPECT_EQ(nodes_of(machine->graph(), "Relu"), 0);
  expect_equal_bits(run_graph(machine->graph(), inputs)[0], run_graph(net.graph, inputs)[0]);
}

TEST(LayChannelsLast, LengthsMayBeKnownLater) {
  ImageNet net({Dim::symbol("n"), Dim(3), Dim::symbol("h"), Dim::symbol("w")});
  net.graph.outputs = {residual_net(net)};
  Graph last = laid_out(net.graph, {net.input({1, 3, 18, 22})});
  EXPECT_EQ(nodes_of(last, "ChannelsLastConv"), 5);
  for (const Dims& dims : {Dims{3, 3, 9, 31}, Dims{1, 3, 5, 5}, Dims{0, 3, 8, 8}}) {
    expect_equal_bits(run_graph(last, {net.input(dims)})[0],
                      run_graph(net.graph, {net.input(dims)})[0]);
  }
}

TEST(LayChannelsLast, ARowAloneIsTheRowInABatch) {
  ImageNet net({Dim::symbol("n"), Dim(3), Dim(18), Dim(22)});
  net.graph.outputs = {residual_net(net)};
  lay_channels_last(net.graph);
  const Tensor all = net.input({9, 3, 18, 22});
  const Tensor y = run_graph(net.graph, {all})[0];
  for (int64_t n = 0; n < 9; ++n) {
    Tensor row(DType::Float32, {1, 3, 18, 22});
    std::copy_n(all.data<float>() + n * row.size(), row.size(), row.data<float>());
    const Tensor alone = run_graph(net.graph, {row})[0];
    EXPECT_EQ(std::memcmp(alone.raw(), y.data<float>() + n * alone.size(),
                          static_cast<size_t>(alone.bytes())),
              0);
  }
}

TEST(LayChannelsLast, WhatOthersReadIsAsItWas) {
  ImageNet net({1, 3, 16, 16});
  const ValueId first = net.conv(net.x, {16, 3, 3, 3}, padded_by_one);
  const ValueId second = net.relu(net.conv(first, {16, 16, 3, 3}, padded_by_one));
  const ValueId third = net.conv(second, {16, 16, 3, 3}, padded_by_one);
  const ValueId fourth = net.conv(third, {16, 16, 3, 3}, padded_by_one);
  net.graph.outputs = {second, net.b.add("Flatten", {fourth}),
                       net.b.add("Softmax", {fourth}, {{"axis", int64_t{1}}})};
  const Graph last = laid_out(net.graph, {net.input({1, 3, 16, 16})});
  EXPECT_EQ(nodes_of(last, "ChannelsLastConv"), 4);
  EXPECT_EQ(nodes_of(last, "Transpose"), 2);
}

TEST(LayChannelsLast, OperandsOfAllShapesAreBroadcast) {
  ImageNet net({2, 4, 9, 10});
  GraphBuilder& b = net.b;
  const ValueId other = net.graph.add_input("other", Type::tensor(DType::Float32, {{2, 16, 1, 1}}));
  ValueId v = net.conv(net.x, {16, 4, 3, 3}, padded_by_one);
  v = b.add("Mul", {v, net.weights({16, 1, 1})});
  v = b.add("Add", {net.weights({1, 16, 1, 1}), v});
  v = b.add("Sub", {v, net.weights({9, 10})});
  v = b.add("Mul", {v, net.weights({1})});
  v = b.add("Mul", {v, other});
  v = b.add("PRelu", {v, net.weights({16, 1, 1})});
  v = b.add("Clip", {v, b.scalar(-1, DType::Float32), b.scalar(1, DType::Float32)});
  net.graph.outputs = {net.conv(v, {16, 16, 3, 3}, padded_by_one)};
  const Graph last = laid_out(net.graph, {net.input({2, 4, 9, 10}), net.input({2, 16, 1, 1}, 7)});
  EXPECT_EQ(nodes_of(last, "ChannelsLastConv"), 2);
  const auto machine = lower(net.graph);
  EXPECT_EQ(nodes_of(machine->graph(), "ChannelsLastConv"), 2);
}

TEST(LayChannelsLast, ImagesAreJoinedAlongEveryAxis) {
  for (int64_t axis : {0, 1, 2, 3, -3}) {
    ImageNet net({2, 4, 8, 9});
    const ValueId v = net.conv(net.x, {16, 4, 3, 3}, padded_by_one);
    const ValueId a = net.conv(v, {16, 16, 3, 3}, padded_by_one), c = net.conv(v, {16, 16, 1, 1});
    const ValueId joined = net.b.add("Concat", {a, c}, {{"axis", axis}});
    const bool is_channels = axis == 1 || axis == -3;
    net.graph.outputs = {net.conv(joined, {8, is_channels ? 32 : 16, 1, 1})};
    const Graph last = laid_out(net.graph, {net.input({2, 4, 8, 9})});
    EXPECT_EQ(nodes_of(last, "ChannelsLastConv"), 4) << axis;
    EXPECT_EQ(nodes_of(last, "Transpose"), 1) << axis;
  }
}

TEST(LayChannelsLast, LinesAndVolumes) {
  ImageNet line({2, 3, 40});
  ValueId v = line.relu(line.conv(line.x, {16, 3, 5}));
  v = line.conv(v, {16, 1, 3}, in_groups(16, {}));
  line.graph.outputs = {line.conv(line.pool(v, {2}), {32, 16, 3})};
  EXPECT_EQ(nodes_of(laid_out(line.graph, {line.input({2, 3, 40})}), "ChannelsLastConv"), 3);

  ImageNet volume({1, 2, 5, 6, 7});
  v = volume.relu(volume.conv(volume.x, {16, 2, 3, 3, 3}));
  volume.graph.outputs = {volume.conv(v, {16, 16, 2, 2, 2})};
  EXPECT_EQ(nodes_of(laid_out(volume.graph, {volume.input({1, 2, 5, 6, 7})}), "ChannelsLastConv"),
            2);
}

TEST(LayChannelsLast, WhereNothingIsWonNothingChanges) {
  ImageNet lone({1, 3, 16, 16});
  lone.graph.outputs = {lone.relu(lone.conv(lone.x, {16, 3, 3, 3}))};
  EXPECT_EQ(nodes_of(laid_out(lone.graph, {lone.input({1, 3, 16, 16})}), "Conv"), 1);

  ImageNet softmaxes({1, 8, 8, 8});
  ValueId v = softmaxes.x;
  for (int i = 0; i < 3; ++i) {
    v = softmaxes.conv(v, {8, 8, 3, 3}, padded_by_one);
    v = softmaxes.b.add("Softmax", {v}, {{"axis", int64_t{1}}});
  }
  softmaxes.graph.outputs = {v};
  EXPECT_EQ(nodes_of(laid_out(softmaxes.graph, {softmaxes.input({1, 8, 8, 8})}), "Conv"), 3);

  ImageNet groups({1, 8, 8, 8});
  v = groups.conv(groups.x, {8, 2, 3, 3}, in_groups(4));
  groups.graph.outputs = {groups.conv(v, {8, 2, 3, 3}, in_groups(4))};
  EXPECT_EQ(nodes_of(laid_out(groups.graph, {groups.input({1, 8, 8, 8})}), "Conv"), 2);
}

TEST(LayChannelsLast, ChannelsThatFillNoVectorAreLeftAlone) {
  ImageNet net({2, 4, 12, 12});
  const ValueId v = net.pool(net.relu(net.conv(net.x, {8, 4, 3, 3})), {2, 2});
  net.graph.outputs = {net.conv(net.conv(v, {17, 8, 3, 3}), {4, 17, 1, 1})};
  EXPECT_EQ(nodes_of(laid_out(net.graph, {net.input({2, 4, 12, 12})}), "Conv"), 3);
}

TEST(LayChannelsLast, OtherTypesWeightsThatAreFedAndUnknownRanksAreLeftAlone) {
  for (DType dtype : {DType::Float64, DType::Float16}) {
    ImageNet net({1, 3, 8, 8}, dtype);
    net.graph.outputs = {net.conv(net.conv(net.x, {16, 3, 3, 3}), {16, 16, 3, 3})};
    EXPECT_EQ(nodes_of(laid_out(net.graph, {net.input({1, 3, 8, 8})}), "Conv"), 2);
  }
  ImageNet fed({1, 3, 8, 8});
  const ValueId w = fed.graph.add_input("w", Type::tensor(DType::Float32, {{4, 4, 3, 3}}));
  const ValueId first = fed.conv(fed.x, {4, 3, 3, 3});
  fed.graph.outputs = {fed.b.add("Conv", {fed.b.add("Conv", {first, w}), w})};
  Graph last = laid_out(fed.graph, {fed.input({1, 3, 8, 8}), fed.input({4, 4, 3, 3}, 5)});
  EXPECT_EQ(nodes_of(last, "Conv"), 3);

  ImageNet unknown({1, 3, 8, 8});
  unknown.graph.value(unknown.x).type.shape.reset();
  const ValueId inner = unknown.conv(unknown.relu(unknown.x), {16, 3, 3, 3});
  unknown.graph.outputs = {unknown.conv(inner, {16, 16, 3, 3})};
  laid_out(unknown.graph, {unknown.input({1, 3, 8, 8})});
}

TEST(LayChannelsLast, GraphsThatMoveStateAreLeftAlone) {
  ImageNet net({1, 3, 16, 16});
  const ValueId y = residual_net(net);
  net.graph.outputs = {y};
  net.graph.guards = {y};
  lay_channels_last(net.graph);
  EXPECT_EQ(nodes_of(net.graph, "ChannelsLastConv"), 0);
}

}  // namespace

}  // namespace onnxrun::testing
