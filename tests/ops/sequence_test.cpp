// Sequences and optionals: SequenceConstruct, SequenceAt ..., SplitToSequence, SequenceMap,
// Optional ..., and the private operators that their gradients need.
#include <gtest/gtest.h>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "support/allocations.h"
#include "support/graph_tester.h"

namespace onnxrun::testing {

namespace {

// A graph on double tensors.
struct Maker {
  Graph graph{builtin_ops()};
  GraphBuilder b{graph};
  std::vector<Tensor> inputs;

  ValueId input(Dims dims) {
    Tensor t = random_tensor(dims, static_cast<uint32_t>(inputs.size()) + 1);
    inputs.push_back(t);
    return graph.add_input(graph.unique_name("x"), Type::tensor(t.dtype(), to_shape(t.dims())));
  }
  ValueId construct(std::vector<ValueId> elements) {
    return b.add("SequenceConstruct", std::move(elements));
  }
  ValueId at(ValueId sequence, int64_t i) {
    return b.add("SequenceAt", {sequence, b.int_scalar(i)});
  }
  // Something that is not linear, so that second derivatives show.
  ValueId square(ValueId v) { return b.add("Mul", {v, v}); }

  std::vector<Tensor> run() { return run_graph(graph, inputs); }
  void check() {
    verify(graph);
    check_graph_gradient(graph, inputs);
  }
};

TEST(Sequence, ElementsComeBack) {
  for (int64_t i : {0, 1, -1, -2}) {
    Maker m;
    ValueId a = m.input({2, 3}), c = m.input({4});
    m.graph.outputs = {m.square(m.at(m.construct({a, c}), i))};
    EXPECT_EQ(m.run()[0].dims(), m.inputs[i == 1 || i == -1 ? 1 : 0].dims());
    m.check();
  }
}

// Positions count from the end of the sequence as it was before.
TEST(Sequence, InsertsAndErases) {
  struct Case {
    std::optional<int64_t> insert, erase;
    std::vector<size_t> order;  // of the inputs a, b, c; c was inserted
  };
  for (const Case& t : std::vector<Case>{{std::nullopt, std::nullopt, {0, 1}},
                                         {std::nullopt, 0, {1, 2}},
                                         {0, std::nullopt, {2, 0}},
                                         {-1, 1, {0, 1}},
                                         {-2, -1, {2, 0}},
                                         {1, -3, {2, 1}},
                                         {2, 1, {0, 2}}}) {
    Maker m;
    ValueId a = m.input({2}), c = m.input({3}), d = m.input({1});
    std::vector<ValueId> insert = {m.construct({a, c}), d};
    if (t.insert) insert.push_back(m.b.int_scalar(*t.insert));
    std::vector<ValueId> erase = {m.b.add("SequenceInsert", insert)};
    if (t.erase) erase.push_back(m.b.int_scalar(*t.erase));
    ValueId rest = m.b.add("SequenceErase", erase);
    m.graph.outputs = {m.square(m.at(rest, 0)), m.square(m.at(rest, 1)),
                       m.b.add("SequenceLength", {rest})};
    std::vector<Tensor> results = m.run();
    for (size_t k = 0; k < 2; ++k) EXPECT_EQ(results[k].dims(), m.inputs[t.order[k]].dims());
    EXPECT_EQ(*results[2].data<int64_t>(), 2);
    m.check();
  }
}

TEST(Sequence, EmptyOnesGrow) {
  Maker m;
  ValueId a = m.input({2});
  ValueId empty = m.b.add("SequenceEmpty", {}, {{"dtype", static_cast<int64_t>(DType::Float64)}});
  ValueId one = m.b.add("SequenceInsert", {empty, a});
  m.graph.outputs = {m.square(m.at(one, 0)), m.b.add("SequenceLength", {empty})};
  EXPECT_EQ(*m.run()[1].data<int64_t>(), 0);
  m.check();
}

TEST(Sequence, PositionsOutsideAreNamed) {
  for (int64_t i : {2, -3}) {
    Maker m;
    ValueId a = m.input({2});
    m.graph.outputs = {m.at(m.construct({a, a}), i)};
    try {
      m.run();
      FAIL() << i;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("is out of range for a sequence of 2"),
                std::string::npos)
          << e.what();
    }
  }
}

TEST(Sequence, SplitsAndJoins) {
  struct Case {
    Attributes split, join;
    std::optional<Tensor> lengths;
    Dims first, joined;
  };
  auto axis = [](int64_t i) { return std::pair<const std::string, AttributeValue>("axis", i); };
  std::pair<const std::string, AttributeValue> drop("keepdims", int64_t{0}),
      stack("new_axis", int64_t{1});
  for (const Case& t : std::vector<Case>{
           {{axis(0)}, {axis(0)}, std::nullopt, {1, 3}, {4, 3}},
           {{axis(1)}, {axis(0)}, std::nullopt, {4, 1}, {12, 1}},
           {{axis(-1), drop}, {axis(1), stack}, std::nullopt, {4}, {4, 3}},
           {{axis(0), drop}, {axis(0)}, std::nullopt, {3}, {12}},
           {{axis(0)}, {axis(0)}, Tensor::scalar<int64_t>(3), {3, 3}, {4, 3}},
           {{axis(0)}, {axis(-1), stack}, Tensor::scalar<int32_t>(2), {2, 3}, {2, 3, 2}},
           {{axis(1)}, {axis(1)}, Tensor::of<int64_t>({2}, {2, 1}), {4, 2}, {4, 3}},
           {{axis(1)}, {axis(1)}, Tensor::of<int64_t>({3}, {0, 1, 2}), {4, 0}, {4, 3}}}) {
    Maker m;
    std::vector<ValueId> inputs = {m.input({4, 3})};
    if (t.lengths) inputs.push_back(m.b.constant(*t.lengths));
    ValueId parts = m.b.add("SplitToSequence", inputs, t.split);
    ValueId joined = m.b.add("ConcatFromSequence", {parts}, t.join);
    m.graph.outputs = {m.square(m.at(parts, 0)), m.square(joined)};
    std::vector<Tensor> results = m.run();
    EXPECT_EQ(results[0].dims(), t.first);
    EXPECT_EQ(results[1].dims(), t.joined);
    m.check();
  }
}

TEST(Sequence, JoiningTakesMemoryForTheResultAlone) {
  if (!counts_allocations()) GTEST_SKIP();
  Maker m;
  ValueId x = m.input({20000});
  m.graph.outputs = {m.b.add("ConcatFromSequence", {m.construct({x, x})}, {{"axis", int64_t{0}}})};
  int64_t before = allocations();
  EXPECT_EQ(m.run()[0].dims(), Dims{40000});
  EXPECT_LT(allocations() - before, 5000);
}

TEST(Sequence, WhatIsJoinedMustFit) {
  for (const Dims& other : {Dims{2, 4}, Dims{0, 4}, Dims{3}}) {
    Maker m;
    ValueId parts = m.construct({m.input({2, 3}), m.input(other)});
    m.graph.outputs = {m.b.add("ConcatFromSequence", {parts}, {{"axis", int64_t{0}}})};
    EXPECT_THROW(m.run(), Error) << to_string(other);
  }
}

// y_i = x_i * x_i + shared, z_i = sum(x_i).
Graph map_body(const Type& element, const Type& shared) {
  Graph body(builtin_ops());
  GraphBuilder b(body);
  ValueId x = body.add_input("element", element), s = body.add_input("shared", shared);
  body.outputs = {b.add("Add", {b.add("Mul", {x, x}), s}), b.add("ReduceSum", {x})};
  return body;
}

Maker mapped() {
  Maker m;
  ValueId a = m.input({2, 3}), c = m.input({1, 3}), shared = m.input({3});
  ValueId sequence = m.construct({a, c});
  NodeOptions options;
  options.bodies.push_back(map_body(*m.b.type(sequence).element, m.b.type(shared)));
  std::vector<ValueId> results =
      m.b.add_n("SequenceMap", {sequence, shared}, 2, std::move(options));
  m.graph.outputs = {m.b.add("ConcatFromSequence", {results[0]}, {{"axis", int64_t{0}}}),
                     m.b.add("SequenceLength", {results[1]}), m.square(m.at(results[1], 1))};
  return m;
}

TEST(SequenceMap, RunsItsBodyForEveryElement) {
  Maker m = mapped();
  std::vector<Tensor> results = m.run();
  EXPECT_EQ(results[0].dims(), (Dims{3, 3}));
  EXPECT_EQ(*results[1].data<int64_t>(), 2);
  expect_graph_decomposes(m.graph, m.inputs, "SequenceMap");
  check_graph_gradient(m.graph, m.inputs, false);
}

TEST(Optional, HoldsAnElementOrNone) {
  Maker m;
  ValueId a = m.input({2});
  ValueId some = m.b.add("Optional", {a});
  ValueId none = m.b.add("Optional", {}, {{"type", m.b.type(a)}});
  m.graph.outputs = {m.square(m.b.add("OptionalGetElement", {some})),
                     m.b.add("OptionalHasElement", {some}),
                     m.b.add("OptionalHasElement", {none}),
                     m.b.add("OptionalHasElement", {a}),
                     m.b.add("OptionalHasElement", {}),
                     m.square(m.b.add("OptionalGetElement", {a}))};
  std::vector<Tensor> results = m.run();
  EXPECT_TRUE(*results[1].data<bool>());
  EXPECT_FALSE(*results[2].data<bool>());
  EXPECT_TRUE(*results[3].data<bool>());
  EXPECT_FALSE(*results[4].data<bool>());
  m.check();
}

TEST(Optional, OfASequence) {
  Maker m;
  ValueId a = m.input({2}), c = m.input({3});
  ValueId some = m.b.add("Optional", {m.construct({a, c})});
  m.graph.outputs = {m.square(m.at(m.b.add("OptionalGetElement", {some}), 1))};
  m.check();
}

TEST(Optional, NothingIsNoElement) {
  Maker m;
  ValueId a = m.input({2});
  ValueId none = m.b.add("Optional", {}, {{"type", m.b.type(a)}});
  m.graph.outputs = {m.b.add("OptionalGetElement", {none})};
  EXPECT_THROW(m.run(), Error);
}

TEST(SequencePrivate, Compute) {
  Maker m;
  ValueId a = m.input({2, 3}), c = m.input({1, 3}), d = m.input({2, 3}), e = m.input({1, 3});
  ValueId left = m.construct({a, c}), right = m.construct({d, e});
  ValueId sum = m.b.add("onnxrun.AddSequences", {left, right});
  ValueId zeros = m.b.add("onnxrun.ZerosLike", {left});
  m.graph.outputs = {m.square(m.at(sum, 0)), m.square(m.at(sum, 1)), m.at(zeros, 1),
                     m.b.add("onnxrun.SequenceDims", {left}, {{"axis", int64_t{-2}}})};
  std::vector<Tensor> results = m.run();
  EXPECT_DOUBLE_EQ(values_of(results[0])[0],
                   std::pow(values_of(m.inputs[0])[0] + values_of(m.inputs[2])[0], 2));
  EXPECT_EQ(values_of(results[2]), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(values_of(results[3]), (std::vector<double>{2, 1}));
  for (const char* op : {"onnxrun.AddSequences", "onnxrun.ZerosLike", "onnxrun.SequenceDims"}) {
    expect_graph_decomposes(m.graph, m.inputs, op);
  }
  m.check();
}

}  // namespace

}  // namespace onnxrun::testing
