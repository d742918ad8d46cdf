// Graphs made here become models that mean the same.
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "graph/builder.h"
#include "onnx_exporter.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

onnx::ModelProto exported(const Graph& graph, const ExportOptions& options = {}) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(export_graph(graph, options)));
  return model;
}

Graph with_branches() {
  ModelMaker m;
  m.input("c", {}, onnx::TensorProto::BOOL);
  m.input("x", {"N"});
  m.initializer("w", {1, 2});
  auto& node = m.node("If", {"c"}, {"y"});
  for (const char* name : {"then_branch", "else_branch"}) {
    auto& body = ModelMaker::body(node, name);
    ModelMaker::add_initializer(body, "v", {3, 4});
    ModelMaker::add_node(*body.mutable_node(), "Add", {"x", "w", "v"}, {"sum"});
    body.add_output()->set_name(name[0] == 't' ? "sum" : "x");
  }
  m.output("y");
  return m.import();
}

TEST(GraphExport, GivesTheGraphBack) {
  Graph g = with_branches();
  Graph h = import_model_bytes(export_graph(g), "", maker_registry());
  verify(h);
  ASSERT_EQ(h.nodes.size(), 1u);
  EXPECT_EQ(h.initializers.size(), 3u);
  EXPECT_EQ(h.nodes[0].captures, g.nodes[0].captures);
  EXPECT_EQ(h.nodes[0].bodies[0].nodes.size(), 1u);
  EXPECT_EQ(h.nodes[0].bodies[1].nodes.size(), 2u);  // x goes out through an Identity
  EXPECT_EQ(h.value(h.inputs[1]).type.to_string(), "float[N]");
}

void collect_names(const onnx::GraphProto& graph, std::multiset<std::string>& names) {
  for (const auto& i : graph.input()) names.insert(i.name());
  for (const auto& t : graph.initializer()) names.insert(t.name());
  for (const auto& n : graph.node()) {
    for (const auto& o : n.output()) names.insert(o);
    for (const auto& a : n.attribute()) {
      if (a.has_g()) collect_names(a.g(), names);
    }
  }
}

TEST(GraphExport, NamesAreUniqueOverAllScopes) {
  std::multiset<std::string> names;
  collect_names(exported(with_branches()).graph(), names);
  for (const std::string& name : names) EXPECT_EQ(names.count(name), 1u) << name;
}

TEST(GraphExport, StampsTheOldestOpsetThatFits) {
  Graph g(maker_registry());
  ValueId x = g.add_input("x", Type::tensor(DType::Float32, Shape{2}));
  GraphBuilder b(g);
  g.outputs = {b.add("Identity", {x})};
  onnx::ModelProto model = exported(g);
  EXPECT_EQ(model.opset_import(0).version(), 18);
  EXPECT_EQ(model.ir_version(), 10);
  EXPECT_EQ(exported(g, {.opset = 23}).opset_import(0).version(), 23);
  EXPECT_EQ(exported(g, {.opset = 23}).ir_version(), 11);
  EXPECT_THROW(export_graph(g, {.opset = 17}), Error);
  EXPECT_THROW(export_graph(g, {.opset = current_opset + 1}), Error);

  // Identity takes int4 since opset 21.
  ValueId y = g.add_input("y", Type::tensor(DType::Int4, Shape{2}));
  g.outputs.push_back(b.add("Identity", {y}));
  EXPECT_EQ(exported(g).opset_import(0).version(), 21);
  try {
    export_graph(g, {.opset = 20});
    FAIL() << "int4 in opset 20";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Unsupported);
    EXPECT_NE(std::string(e.what()).find("needs opset 21, opset 20 was asked for"),
              std::string::npos)
        << e.what();
  }
}

TEST(GraphExport, PrivateOperatorsAreErrors) {
  Graph g(maker_registry());
  ValueId x = g.add_input("x", Type::tensor(DType::Float32, Shape{2}));
  GraphBuilder b(g);
  g.outputs = {b.add("onnxrun.Private", {x})};
  EXPECT_THROW(export_graph(g), Error);
}

TEST(GraphExport, KeepsNamesOfInterfaceAndAttributes) {
  Graph g(maker_registry());
  g.name = "step";
  ValueId x = g.add_input("x", Type::tensor(DType::Float32, Shape{Dim::symbol("batch"), Dim()}));
  ValueId w = g.add_initializer("w", Tensor::of<float>({2}, {1, 2}));
  g.value(w).metadata["kind"] = "PARAMETER";
  GraphBuilder b(g);
  NodeOptions options;
  options.attributes = {{"alpha", 2.5f}, {"mode", std::string("fast")}};
  options.output_names = {"x"};  // not unique: the input keeps its name
  ValueId y = b.add_n("Add", {x, no_value, w}, 1, options)[0];
  g.outputs = {y, y, x};
  g.overridable = {w};
  onnx::ModelProto model = exported(g, {.producer_name = "maker", .producer_version = "1"});
  const auto& graph = model.graph();
  EXPECT_EQ(model.producer_name(), "maker");
  EXPECT_EQ(graph.name(), "step");
  EXPECT_EQ(graph.input(0).name(), "x");
  EXPECT_EQ(graph.input(0).type().tensor_type().shape().dim(0).dim_param(), "batch");
  EXPECT_EQ(graph.input(1).name(), "w");
  EXPECT_EQ(graph.node(0).input(1), "");
  ASSERT_EQ(graph.node(0).attribute_size(), 2);
  EXPECT_EQ(graph.node(0).attribute(0).f(), 2.5f);
  EXPECT_EQ(graph.node(0).attribute(1).s(), "fast");
  ASSERT_EQ(graph.output_size(), 3);
  EXPECT_NE(graph.output(0).name(), graph.output(1).name());
  EXPECT_EQ(graph.output(2).name(), "x");
  Graph h = import_model_bytes(model.SerializeAsString(), "", maker_registry());
  EXPECT_EQ(h.value(h.find("w")).metadata.at("kind"), "PARAMETER");
}

TEST(GraphExport, StateGoesOutAsAnOutput) {
  Graph g(maker_registry());
  ValueId s = g.add_input("s", Type::tensor(DType::Float32, Shape{2}));
  GraphBuilder b(g);
  NodeOptions options;
  options.output_names = {"s::next"};
  ValueId next = b.add_n("Add", {s, s}, 1, options)[0];
  g.state = {{s, next}};
  onnx::ModelProto model = exported(g);
  ASSERT_EQ(model.graph().output_size(), 1);
  EXPECT_EQ(model.graph().output(0).name(), "s::next");
}

}  // namespace
}  // namespace onnxrun
