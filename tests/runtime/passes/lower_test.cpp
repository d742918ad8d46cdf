// Lowering: what is worked out once for all shapes, and the driver of the passes.
#include "passes/lower.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "onnxrun/session.h"
#include "plan/plan.h"

namespace onnxrun::testing {

namespace {

// x [batch,2] times a weight that stands behind a Transpose, as exporters leave them.
Graph behind_transpose(int64_t width) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x =
      graph.add_input("x", Type::tensor(DType::Float32, Shape{Dim::symbol("batch"), Dim(2)}));
  std::vector<float> numbers(static_cast<size_t>(2 * width), 1.5f);
  ValueId w = graph.add_initializer("w", Tensor::of<float>({width, 2}, numbers), Role::Parameter);
  graph.outputs = {b.add("MatMul", {x, b.transpose(w, {1, 0})})};
  graph.value(graph.outputs[0]).name = "y";
  return graph;
}

std::vector<std::string> names(const std::vector<PassRecord>& records) {
  std::vector<std::string> list;
  for (const PassRecord& r : records) list.push_back(r.name);
  return list;
}

// The one initializer that a plan for `batch` rows reads.
const std::byte* weight_of(const Graph& graph, int64_t batch) {
  std::vector<Type> types{Type::tensor(DType::Float32, Shape{Dim(batch), Dim(2)})};
  std::shared_ptr<const Plan> plan = Plan::compile(graph, types);
  EXPECT_EQ(plan->graph().initializers.size(), 1u);
  return plan->graph().initializers.begin()->second.value.raw();
}

TEST(Lower, FoldsWeightsOnceForAllShapes) {
  auto machine = lower(behind_transpose(3));
  ASSERT_EQ(machine->graph().nodes.size(), 1u);
  EXPECT_EQ(machine->graph().nodes[0].info->spec.name, "MatMul");
  EXPECT_EQ(machine->added_bytes(), 24);
  EXPECT_EQ(weight_of(machine->graph(), 1), weight_of(machine->graph(), 7));
}

TEST(Lower, CountsWhatItMakes) {
  EXPECT_EQ(lower(behind_transpose(3), {.max_memory = 24})->added_bytes(), 24);
  // What has no room stays a node.
  auto machine = lower(behind_transpose(3), {.max_memory = 23, .passes = {.stop_after = "noops"}});
  EXPECT_EQ(machine->added_bytes(), 0);
  EXPECT_EQ(machine->graph().nodes.size(), 2u);
}

TEST(Lower, LeavesTheFileAsItIsIfAsked) {
  auto machine = lower(behind_transpose(3), {.optimize = false});
  EXPECT_EQ(machine->graph().nodes.size(), 2u);
  EXPECT_TRUE(machine->records().empty());
}

TEST(Lower, StopsAfterAPass) {
  EXPECT_EQ(names(lower(behind_transpose(3))->records()),
            (std::vector<std::string>{"freeze", "infer", "fuse-quantized", "fold", "noops",
                                      "fuse-transpositions", "fuse-channels", "fuse-relu-gradients",
                                      "dead-nodes", "fuse-limits", "fuse-parts", "fuse-elementwise",
                                      "layout"}));
  LowerOptions options;
  options.passes.stop_after = "infer";
  auto machine = lower(behind_transpose(3), options);
  EXPECT_EQ(names(machine->records()), (std::vector<std::string>{"freeze", "infer"}));
  EXPECT_EQ(machine->graph().nodes.size(), 2u);
  options.passes.stop_after = "melt";
  EXPECT_THROW(lower(behind_transpose(3), options), Error);
}

TEST(Passes, ABrokenGraphIsBlamedOnItsPass) {
  Graph graph = behind_transpose(3);
  const Pass passes[] = {{"good", [](Graph&) {}},
                         {"bad", [](Graph& g) { g.nodes.erase(g.nodes.begin()); }}};
  try {
    run_passes(graph, passes, {.verify = true});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Internal);
    EXPECT_NE(std::string(e.what()).find("after pass 'bad'"), std::string::npos) << e.what();
  }
}

TEST(Lower, SessionsOfAModelShareIt) {
  Model model(std::make_shared<Graph>(behind_transpose(3)));
  Tensor x = Tensor::of<float>({1, 2}, {1, 2});
  Session first(model), second(model), plain(model, {.optimize = false});
  Tensor y = first.run({{"x", x}})[0].second.tensor;
  EXPECT_TRUE(identical(y, second.run({{"x", x}})[0].second.tensor));
  EXPECT_TRUE(identical(y, plain.run({{"x", x}})[0].second.tensor));
}

}  // namespace

}  // namespace onnxrun::testing
