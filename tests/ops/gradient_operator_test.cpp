// Gradient of ai.onnx.preview.training, in model files.
#include <gtest/gtest.h>

#include "base/error.h"
#include "builtin_ops.h"
#include "support/graph_tester.h"
#include "support/model_maker.h"
#include "support/tested_operators.h"

namespace onnxrun::testing {

namespace {

using Names = std::vector<std::string>;

// A model of double scalars, or vectors.
struct GradientModel : ModelMaker {
  explicit GradientModel(const Names& inputs, const std::vector<std::string>& dims = {}) {
    auto* import = model.add_opset_import();
    import->set_domain("ai.onnx.preview.training");
    import->set_version(1);
    for (const std::string& name : inputs) input(name, dims, 11);
  }

  onnx::NodeProto& gradient(const Names& inputs, const Names& outputs, const Names& xs,
                            const std::string& y, const Names& zs = {}) {
    return gradient(*graph().mutable_node(), inputs, outputs, xs, y, zs);
  }
  static onnx::NodeProto& gradient(Nodes& nodes, const Names& inputs, const Names& outputs,
                                   const Names& xs, const std::string& y, const Names& zs = {}) {
    record(Tried::Run, "ai.onnx.preview.training.Gradient");
    record(Tried::Gradient, "ai.onnx.preview.training.Gradient");
    onnx::NodeProto& node = add_node(nodes, "Gradient", inputs, outputs);
    node.set_domain("ai.onnx.preview.training");
    for (const std::string& x : xs) {
      auto& list = node.attribute_size() > 0 ? *node.mutable_attribute(0)
                                             : attribute(node, "xs", onnx::AttributeProto::STRINGS);
      list.add_strings(x);
    }
    attribute(node, "y", onnx::AttributeProto::STRING).set_s(y);
    if (zs.empty()) return node;
    auto& list = attribute(node, "zs", onnx::AttributeProto::STRINGS);
    for (const std::string& z : zs) list.add_strings(z);
    return node;
  }

  std::vector<double> run(const std::vector<double>& inputs) const {
    Graph g = import_model_bytes(bytes(), "", builtin_ops(), {});
    verify(g);
    std::vector<Tensor> tensors;
    for (double x : inputs) tensors.push_back(Tensor::scalar(x));
    std::vector<double> results;
    for (const Tensor& t : run_graph(g, tensors)) results.push_back(*t.data<double>());
    return results;
  }

  void expect_error(const std::string& text) const {
    try {
      import_model_bytes(bytes(), "", builtin_ops(), {});
      FAIL() << "no error, expected '" << text << "'";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
    }
  }
};

// h = w x, y = h h z.
GradientModel product() {
  GradientModel m({"w", "x", "z"});
  m.node("Mul", {"w", "x"}, {"h"});
  m.node("Mul", {"h", "h"}, {"hh"});
  m.node("Mul", {"hh", "z"}, {"y"});
  return m;
}

constexpr double w = 2, x = 3, z = 5, h = w * x;

TEST(GradientOperator, OfIndependentValues) {
  GradientModel m = product();
  m.gradient({"w", "z", "x"}, {"dw", "dz"}, {"w", "z"}, "y", {"x"});
  m.output("dw");
  m.output("dz");
  EXPECT_EQ(m.run({w, x, z}), (std::vector<double>{2 * w * x * x * z, h * h}));
}

TEST(GradientOperator, OfValuesOnTheWay) {
  GradientModel m = product();
  m.gradient({"h", "z"}, {"dh", "dz"}, {"h", "z"}, "y");
  m.output("dh");
  m.output("dz");
  EXPECT_EQ(m.run({w, x, z}), (std::vector<double>{2 * h * z, h * h}));
}

TEST(GradientOperator, AtAnotherPoint) {
  GradientModel m = product();
  m.gradient({"x", "w"}, {"dh", "dz"}, {"h", "z"}, "y");
  m.output("dh");
  m.output("dz");
  m.output("y");
  EXPECT_EQ(m.run({w, x, z}), (std::vector<double>{2 * x * w, x * x, h * h * z}));
}

TEST(GradientOperator, HoldsNamedValuesFast) {
  GradientModel m = product();
  // y = h hh z with h and hh independent of each other.
  m.node("Mul", {"y", "h"}, {"u"});
  m.gradient({"h", "hh", "z"}, {"dh", "dhh"}, {"h", "hh"}, "u", {"z"});
  m.output("dh");
  m.output("dhh");
  EXPECT_EQ(m.run({w, x, z}), (std::vector<double>{h * h * z, z * h}));
}

TEST(GradientOperator, OneInputForSeveralNames) {
  GradientModel m = product();
  m.gradient({"w", "w", "w"}, {"dw", "dx"}, {"w", "x"}, "y", {"z"});
  m.output("dw");
  m.output("dx");
  EXPECT_EQ(m.run({w, x, z}), (std::vector<double>{2 * w * w * w * w, 2 * w * w * w * w}));
}

TEST(GradientOperator, OfHigherOrder) {
  GradientModel m({"x"});
  m.node("Mul", {"x", "x"}, {"x2"});
  m.node("Mul", {"x2", "x2"}, {"x4"});
  m.gradient({"x"}, {"d1"}, {"x"}, "x4");
  m.gradient({"x"}, {"d2"}, {"x"}, "d1");
  m.gradient({"x"}, {"d3"}, {"x"}, "d2");
  m.gradient({"d1"}, {"elsewhere"}, {"x"}, "d1");
  for (const char* name : {"d1", "d2", "d3", "elsewhere"}) m.output(name);
  EXPECT_EQ(m.run({2}), (std::vector<double>{4 * 8, 12 * 4, 24 * 2, 12 * 32 * 32}));
}

TEST(GradientOperator, OutputsMayBeLeftOut) {
  GradientModel m = product();
  m.gradient({"w", "x", "z"}, {"", "dx"}, {"w", "x", "z"}, "y");
  m.output("dx");
  EXPECT_EQ(m.run({w, x, z}), (std::vector<double>{2 * h * w * z}));
}

TEST(GradientOperator, OfATensorIsThatOfItsSum) {
  GradientModel m({"a"}, {"3"});
  m.node("Mul", {"a", "a"}, {"y"});
  m.gradient({"a"}, {"da"}, {"a"}, "y");
  m.output("da");
  Graph g = import_model_bytes(m.bytes(), "", builtin_ops(), {});
  Tensor a = Tensor::of<double>({3}, {1, 2, 3});
  EXPECT_EQ(values_of(run_graph(g, {a})[0]), (std::vector<double>{2, 4, 6}));
}

TEST(GradientOperator, IsDifferentiated) {
  GradientModel m = product();
  m.gradient({"x", "w"}, {"dh", "dz"}, {"h", "z"}, "y");
  m.output("dh");
  Graph g = import_model_bytes(m.bytes(), "", builtin_ops(), {});
  check_graph_gradient(g, {Tensor::scalar(w), Tensor::scalar(x), Tensor::scalar(z)});
}

TEST(GradientOperator, InsideASubgraph) {
  GradientModel m({"w"});
  m.initializer("yes", {1});
  auto& cast = m.node("Cast", {"yes"}, {"cond"});
  GradientModel::attribute(cast, "to", onnx::AttributeProto::INT).set_i(9);
  auto& branch = m.node("If", {"cond"}, {"dw"});
  for (const char* name : {"then_branch", "else_branch"}) {
    onnx::GraphProto& body = GradientModel::body(branch, name);
    std::string square = std::string("s_") + name, result = std::string("d_") + name;
    GradientModel::add_node(*body.mutable_node(), "Mul", {"w", "w"}, {square});
    GradientModel::gradient(*body.mutable_node(), {"w"}, {result}, {"w"}, square);
    body.add_output()->set_name(result);
  }
  m.output("dw");
  EXPECT_EQ(m.run({3}), (std::vector<double>{6}));
}

TEST(GradientOperator, WhatDoesNotFitIsNamed) {
  auto with = [](const Names& inputs, const Names& outputs, const Names& xs, const std::string& y) {
    GradientModel m = product();
    m.gradient(inputs, outputs, xs, y);
    m.output(outputs[0]);
    return m;
  };
  with({"w"}, {"d"}, {"v"}, "y").expect_error("nothing produces 'v'");
  with({"w"}, {"d"}, {"w"}, "v").expect_error("nothing produces 'v'");
  with({"w"}, {"d"}, {"w", "x"}, "y").expect_error("1 inputs given, xs and zs name 2");
  with({"w", "x"}, {"d"}, {"w", "w"}, "y").expect_error("'w' is named twice");
  with({"w"}, {"d", "e"}, {"w"}, "y").expect_error("2 outputs asked for, xs names 1");
  GradientModel m({"w"});
  m.node("Shape", {"w"}, {"s"});
  m.gradient({"w"}, {"d"}, {"w"}, "s");
  m.output("d");
  m.expect_error("'s' is int64[0], expected a tensor of floating-point numbers");
}

}  // namespace

}  // namespace onnxrun::testing
