// Nodes that do not stand in topological order.
#include "node_order.h"

#include <gtest/gtest.h>

#include <numeric>

#include "support/model_maker.h"

namespace onnxrun {
namespace {

struct Step {
  std::vector<std::string> inputs;
  std::string output;
};

std::vector<int> order_of(const std::vector<Step>& steps) {
  onnx::GraphProto graph;
  for (const Step& s : steps) {
    auto& node = *graph.add_node();
    for (const std::string& input : s.inputs) node.add_input(input);
    node.add_output(s.output);
  }
  return reading_order(graph.node());
}

TEST(NodeOrder, StaysAsCloseToTheFileAsItCan) {
  using Order = std::vector<int>;
  EXPECT_EQ(order_of({}), Order{});
  EXPECT_EQ(order_of({{{"x"}, "a"}, {{"x", ""}, "b"}, {{"b", "a"}, "c"}}), (Order{0, 1, 2}));
  EXPECT_EQ(order_of({{{"b"}, "a"}, {{"x"}, "b"}, {{"x"}, "c"}}), (Order{1, 0, 2}));
  EXPECT_EQ(order_of({{{"c"}, "a"}, {{"x"}, "b"}, {{"b", "b"}, "c"}}), (Order{1, 2, 0}));
}

TEST(NodeOrder, OfACycleIsTheFiles) {
  EXPECT_EQ(order_of({{{"b"}, "a"}, {{"a"}, "b"}, {{"d"}, "c"}, {{"x"}, "d"}}),
            (std::vector<int>{0, 1, 2, 3}));
}

TEST(NodeOrder, IsLinear) {
  std::vector<Step> chain;
  constexpr int length = 100'000;
  for (int i = length; i > 0; --i) chain.push_back({{std::to_string(i - 1)}, std::to_string(i)});
  std::vector<int> expected(length);
  std::iota(expected.rbegin(), expected.rend(), 0);
  EXPECT_EQ(order_of(chain), expected);
}

// A name inside a subgraph that a later node of the graph around has, too, is the subgraph's own.
TEST(NodeOrder, KnowsWhatSubgraphsRead) {
  for (bool own : {false, true}) {
    ModelMaker m;
    m.input("c", {}, onnx::TensorProto::BOOL);
    m.input("x", {"2"});
    auto& node = m.node("If", {"c"}, {"y"});
    for (const char* name : {"then_branch", "else_branch"}) {
      auto& branch = ModelMaker::body(node, name);
      if (own) ModelMaker::add_node(*branch.mutable_node(), "Identity", {"x"}, {"late"});
      ModelMaker::add_node(*branch.mutable_node(), "Relu", {"late"}, {"a"});
      branch.add_output()->set_name("a");
    }
    m.node("Mul", {"x", "x"}, {own ? "other" : "late"});
    m.output("y");
    EXPECT_EQ(reading_order(m.graph().node()),
              own ? (std::vector<int>{0, 1}) : (std::vector<int>{1, 0}));
    verify(m.import());
  }
}

TEST(NodeOrder, OfFunctionsToo) {
  ModelMaker m;
  auto* import = m.model.add_opset_import();
  import->set_domain("my");
  import->set_version(1);
  m.input("x", {"2"});
  auto& f = m.function("F", {"a"}, {"out"});
  ModelMaker::add_node(*f.mutable_node(), "Relu", {"mid"}, {"out"});
  ModelMaker::add_node(*f.mutable_node(), "Identity", {"a"}, {"mid"});
  m.node("F", {"x"}, {"y"}).set_domain("my");
  m.output("y");
  Graph g = m.import();
  verify(g);
  ASSERT_EQ(g.nodes.size(), 2u);
  EXPECT_EQ(g.nodes[0].info->spec.name, "Identity");
}

}  // namespace
}  // namespace onnxrun
