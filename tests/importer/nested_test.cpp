// Subgraphs and functions.
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

using onnx::AttributeProto;

std::string names_of(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string text;
  for (ValueId id : ids) text += (text.empty() ? "" : " ") + graph.name_of(id);
  return text;
}

void add_output(onnx::GraphProto& graph, const std::string& name) {
  graph.add_output()->set_name(name);
}

// If(c) { Add(x, w) } else { Mul(x, v) { nested If } }
ModelMaker branches() {
  ModelMaker m;
  m.input("c", {}, onnx::TensorProto::BOOL);
  m.input("x", {"2"});
  m.initializer("w", {1, 2});
  auto& node = m.node("If", {"c"}, {"y"});
  node.set_name("if");
  auto& then = ModelMaker::body(node, "then_branch");
  ModelMaker::add_node(*then.mutable_node(), "Add", {"x", "w"}, {"a"});
  add_output(then, "a");
  auto& other = ModelMaker::body(node, "else_branch");
  ModelMaker::add_initializer(other, "v", {3, 4});
  auto& ints = *other.add_initializer();
  ints.set_name("k");
  ints.set_data_type(onnx::TensorProto::INT64);
  ints.add_int64_data(5);
  auto& inner = ModelMaker::add_node(*other.mutable_node(), "If", {"c"}, {"b"});
  auto& inner_then = ModelMaker::body(inner, "then_branch");
  ModelMaker::add_node(*inner_then.mutable_node(), "Mul", {"x", "v", "k"}, {"d"});
  add_output(inner_then, "d");
  add_output(ModelMaker::body(inner, "else_branch"), "w");
  add_output(other, "b");
  m.output("y");
  return m;
}

TEST(ImportSubgraphs, CaptureWhatTheyReadFromOutside) {
  Graph g = branches().import();
  verify(g);
  ASSERT_EQ(g.nodes.size(), 1u);
  const Node& node = g.nodes[0];
  EXPECT_EQ(node.formal_inputs(), 1u);
  EXPECT_EQ(names_of(g, node.inputs), "c x w if/v c");
  for (const Graph& body : node.bodies) EXPECT_EQ(names_of(body, body.inputs), "x w if/v c");
  const Graph& other = node.bodies[1];
  ASSERT_EQ(other.nodes.size(), 1u);
  EXPECT_EQ(names_of(other, other.nodes[0].inputs), "c x if/v k w");
  EXPECT_EQ(other.initializers.size(), 1u);  // k: integers stay
}

TEST(ImportSubgraphs, FloatsMoveToTheMainGraph) {
  Graph g = branches().import();
  ASSERT_EQ(g.initializers.count(g.find("if/v")), 1u);
  const Initializer& v = g.initializers.at(g.find("if/v"));
  EXPECT_EQ(to_doubles(v.value), (std::vector<double>{3, 4}));
  using Path = std::vector<std::pair<int, int>>;
  EXPECT_EQ(g.source->stored.at(static_cast<size_t>(v.stored)).path,
            (Path{{7, 0}, {1, 0}, {5, 1}, {6, 0}, {5, 0}}));
}

TEST(ImportSubgraphs, FormalInputsAreTypedByTheOperator) {
  ModelMaker m;
  m.input("n", {}, onnx::TensorProto::INT64);
  m.input("c", {}, onnx::TensorProto::BOOL);
  m.input("x", {"2"});
  auto& node = m.node("Loop", {"n", "c", "x"}, {"y"});
  auto& body = ModelMaker::body(node, "body");
  for (const char* name : {"i", "cond", "carried"}) body.add_input()->set_name(name);
  ModelMaker::add_node(*body.mutable_node(), "Add", {"carried", "x"}, {"next"});
  add_output(body, "cond");
  add_output(body, "next");
  m.output("y");
  Graph g = m.import();
  verify(g);
  const Graph& b = g.nodes[0].bodies[0];
  EXPECT_EQ(names_of(b, b.inputs), "i cond carried x");
  EXPECT_EQ(b.value(b.inputs[0]).type.to_string(), "int64[]");
  EXPECT_EQ(g.value(g.outputs[0]).type.dtype, DType::Float32);
}

// A body's outputs count by position: those that the node gives no name, and one listed twice, too.
TEST(ImportSubgraphs, OutputsHavePlaces) {
  ModelMaker m;
  m.input("c", {}, onnx::TensorProto::BOOL);
  m.input("x", {"2"});
  auto& node = m.node("If", {"c"}, {"y", "", ""});
  for (const char* name : {"then_branch", "else_branch"}) {
    auto& branch = ModelMaker::body(node, name);
    ModelMaker::add_node(*branch.mutable_node(), "Relu", {"x"}, {"a"});
    ModelMaker::add_node(*branch.mutable_node(), "Identity", {"x"}, {"b"});
    for (const char* output : {"a", "b", "a"}) add_output(branch, output);
  }
  m.output("y");
  Graph g = m.import();
  verify(g);
  const Node& made = g.nodes[0];
  ASSERT_EQ(made.outputs.size(), 3u);
  EXPECT_EQ(made.outputs[1], no_value);
  EXPECT_EQ(made.outputs[2], no_value);
  EXPECT_EQ(made.bodies[0].outputs.size(), 3u);
}

// F(a, b) = Add(Mul(a, const), b), called twice; const: value = [2]
ModelMaker calls() {
  ModelMaker m;
  auto* import = m.model.add_opset_import();
  import->set_domain("my");
  import->set_version(1);
  m.input("x", {"2"});
  auto& f = m.function("F", {"a", "b"}, {"out"});
  auto& constant = ModelMaker::add_node(*f.mutable_node(), "Constant", {}, {"const"});
  ModelMaker::fill(*ModelMaker::attribute(constant, "value", AttributeProto::TENSOR).mutable_t(),
                   {2});
  ModelMaker::add_node(*f.mutable_node(), "Mul", {"a", "const"}, {"m"}).set_name("mul");
  ModelMaker::add_node(*f.mutable_node(), "Add", {"m", "b"}, {"out"});
  auto& one = m.node("F", {"x", "x"}, {"h"});
  one.set_domain("my");
  one.set_name("one");
  auto& two = m.node("F", {"h"}, {"y"});
  two.set_domain("my");
  two.set_name("two");
  m.output("y");
  return m;
}

TEST(ImportFunctions, AreInlinedAndShareTheirConstants) {
  Graph g = calls().import();
  verify(g);
  ASSERT_EQ(g.nodes.size(), 4u);
  EXPECT_EQ(g.nodes[0].name, "one/mul");
  EXPECT_EQ(names_of(g, g.nodes[0].outputs), "one/m");
  EXPECT_EQ(names_of(g, g.nodes[1].outputs), "h");
  EXPECT_EQ(names_of(g, g.outputs), "y");
  EXPECT_EQ(g.initializers.size(), 1u);
  EXPECT_EQ(g.nodes[0].inputs[1], g.nodes[2].inputs[1]);
  EXPECT_EQ(g.name_of(g.nodes[0].inputs[1]), "my.F/const");
  EXPECT_EQ(g.nodes[3].inputs.size(), 1u);  // b is left out
}

TEST(ImportFunctions, AttributesComeFromTheCallOrTheDefault) {
  ModelMaker m = calls();
  auto& f = *m.model.mutable_functions(0);
  auto& alpha = ModelMaker::attribute(*f.mutable_node(1), "alpha", AttributeProto::FLOAT);
  alpha.set_ref_attr_name("scale");
  auto& mode = ModelMaker::attribute(*f.mutable_node(1), "mode", AttributeProto::STRING);
  mode.set_ref_attr_name("how");
  f.add_attribute("how");
  AttributeProto standard;
  standard.set_name("scale");
  standard.set_type(AttributeProto::FLOAT);
  standard.set_f(0.5f);
  add_unknown(f, 11, standard.SerializeAsString());
  ModelMaker::attribute(*m.graph().mutable_node(1), "scale", AttributeProto::FLOAT).set_f(3);
  ModelMaker::attribute(*m.graph().mutable_node(1), "how", AttributeProto::STRING).set_s("fast");
  Graph g = m.import();
  auto attribute = [&](size_t node, const char* name) {
    const Node& n = g.nodes[node];
    auto all = write_attributes(*n.op, *n.info->make());
    return all.count(name) ? to_string(all.at(name)) : "none";
  };
  EXPECT_EQ(attribute(0, "alpha"), "0.5");
  EXPECT_EQ(attribute(0, "mode"), "none");
  EXPECT_EQ(attribute(2, "alpha"), "3");
  EXPECT_EQ(attribute(2, "mode"), "'fast'");
}

TEST(ImportFunctions, ConstantsFromTheCallBelongToTheCall) {
  ModelMaker m = calls();
  auto& f = *m.model.mutable_functions(0);
  f.add_attribute("scale");
  auto& value = *f.mutable_node(0)->mutable_attribute(0);
  value.Clear();
  value.set_name("value_float");
  value.set_type(AttributeProto::FLOAT);
  value.set_ref_attr_name("scale");
  for (int i : {0, 1}) {
    ModelMaker::attribute(*m.graph().mutable_node(i), "scale", AttributeProto::FLOAT)
        .set_f(static_cast<float>(i));
  }
  Graph g = m.import();
  verify(g);
  ASSERT_EQ(g.initializers.size(), 2u);
  const auto& path = g.source->stored[1].path;
  EXPECT_EQ(path, (std::vector<std::pair<int, int>>{{7, 0}, {1, 1}, {5, 0}}));
}

TEST(ImportFunctions, OverloadsAreToldApart) {
  ModelMaker m = calls();
  auto& other = *m.model.add_functions();
  other.CopyFrom(m.model.functions(0));
  add_unknown(other, 13, "v2");
  other.mutable_node()->DeleteSubrange(0, 2);
  other.mutable_node(0)->set_input(0, "a");
  add_unknown(*m.graph().mutable_node(1), 8, "v2");
  Graph g = m.import();
  verify(g);
  EXPECT_EQ(g.nodes.size(), 3u);
}

TEST(ImportFunctions, PassedThroughInputsKeepBothNames) {
  ModelMaker m = calls();
  auto& f = *m.model.mutable_functions(0);
  f.clear_node();
  f.set_output(0, "a");
  Graph g = m.import();
  verify(g);
  ASSERT_EQ(g.nodes.size(), 2u);
  EXPECT_EQ(names_of(g, g.nodes[0].outputs), "h");
  EXPECT_EQ(names_of(g, g.outputs), "y");
}

TEST(ImportFunctions, HaveOpsetsOfTheirOwn) {
  ModelMaker m = calls();
  auto& f = *m.model.mutable_functions(0);
  f.mutable_opset_import(0)->set_version(9);
  f.mutable_node(1)->set_op_type("Twice");
  Graph g = m.import();
  EXPECT_EQ(g.nodes[0].info->spec.name, "Add");
  f.mutable_opset_import(0)->set_version(19);
  f.mutable_node(1)->set_op_type("Late");
  g = m.import();  // Late is of opset 20, whose meaning is the only one it has
  EXPECT_EQ(g.nodes[0].info->spec.name, "Late");
}

TEST(ImportFunctions, SubgraphsInsideSeeTheFunctionsNames) {
  ModelMaker m = calls();
  m.input("c", {}, onnx::TensorProto::BOOL);
  auto& f = *m.model.mutable_functions(0);
  f.clear_node();
  auto& node = ModelMaker::add_node(*f.mutable_node(), "If", {"b"}, {"out"});
  for (const char* name : {"then_branch", "else_branch"}) {
    auto& body = ModelMaker::body(node, name);
    ModelMaker::add_initializer(body, "w", {1, 1});
    ModelMaker::add_node(*body.mutable_node(), "Add", {"a", "w"}, {"r"});
    add_output(body, "r");
  }
  m.graph().mutable_node(0)->set_input(1, "c");
  m.graph().mutable_node(1)->add_input("c");
  Graph g = m.import();
  verify(g);
  EXPECT_EQ(g.initializers.size(), 2u);  // one a branch, shared by the calls
  EXPECT_EQ(g.nodes[0].captures, 3);
}

}  // namespace
}  // namespace onnxrun
