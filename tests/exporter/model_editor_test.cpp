// Names, dimensions and parts of a model file.
#include "model_editor.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

// y = if c: x + w + v else x, with names that only a body has, and a sequence in between.
ModelMaker with_bodies() {
  ModelMaker m;
  m.graph().set_name("g");
  m.input("c", {}, onnx::TensorProto::BOOL);
  m.input("x", {"N"});
  m.initializer("w", {1, 2});
  auto& node = m.node("If", {"c"}, {"y"});
  node.set_name("choice");
  for (const char* name : {"then_branch", "else_branch"}) {
    auto& body = ModelMaker::body(node, name);
    ModelMaker::add_node(*body.mutable_node(), "Add", {"x", "w"}, {"sum"});
    body.add_output()->set_name(name[0] == 't' ? "sum" : "x");
  }
  m.output("y");
  auto* element = m.graph()
                      .add_value_info()
                      ->mutable_type()
                      ->mutable_sequence_type()
                      ->mutable_elem_type()
                      ->mutable_optional_type()
                      ->mutable_elem_type()
                      ->mutable_tensor_type();
  element->set_elem_type(1);
  element->mutable_shape()->add_dim()->set_dim_param("N");
  m.graph().mutable_value_info(0)->set_name("list");
  auto* annotation = m.graph().add_quantization_annotation();
  annotation->set_tensor_name("w");
  return m;
}

onnx::ModelProto edited(const ModelMaker& m, const std::function<void(ModelEditor&)>& edit) {
  ModelEditor editor(m.bytes());
  edit(editor);
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(editor.bytes()));
  return model;
}

TEST(ModelEditor, RenamesWhereverANameStands) {
  const onnx::ModelProto model =
      edited(with_bodies(), [](ModelEditor& e) { e.rename("w", "weight"); });
  const onnx::GraphProto& graph = model.graph();
  EXPECT_EQ(graph.initializer(0).name(), "weight");
  EXPECT_EQ(graph.quantization_annotation(0).tensor_name(), "weight");
  for (const auto& a : graph.node(0).attribute()) EXPECT_EQ(a.g().node(0).input(1), "weight");
  EXPECT_EQ(model.SerializeAsString().find("\x01w"), std::string::npos);
}

TEST(ModelEditor, RenamesNodes) {
  const onnx::ModelProto model =
      edited(with_bodies(), [](ModelEditor& e) { e.rename("choice", "branch"); });
  EXPECT_EQ(model.graph().node(0).name(), "branch");
}

TEST(ModelEditor, SetsADimensionInsideOfOtherTypes) {
  const onnx::ModelProto model =
      edited(with_bodies(), [](ModelEditor& e) { e.set_dimension("N", "7"); });
  const auto& type = model.graph().value_info(0).type().sequence_type().elem_type();
  EXPECT_EQ(type.optional_type().elem_type().tensor_type().shape().dim(0).dim_value(), 7);
  EXPECT_EQ(model.graph().input(1).type().tensor_type().shape().dim(0).dim_value(), 7);
}

TEST(ModelEditor, KeepsWhatBodiesRead) {
  ModelMaker m = with_bodies();
  m.node("Relu", {"x"}, {"unused"});
  m.initializer("gone", {1});
  const onnx::ModelProto model = edited(
      m, [](ModelEditor& e) { e.extract({}, {"y"}, [](const std::string&) { return Type(); }); });
  EXPECT_EQ(model.graph().node_size(), 1);
  ASSERT_EQ(model.graph().initializer_size(), 1);
  EXPECT_EQ(model.graph().initializer(0).name(), "w");
  EXPECT_EQ(model.graph().input_size(), 2);
}

TEST(ModelEditor, DeclaresInnerValuesThatBecomeOutputs) {
  ModelMaker m = small_model();
  m.node("Relu", {"y"}, {"z"});
  m.graph().mutable_output(0)->set_name("z");
  const onnx::ModelProto model = edited(m, [](ModelEditor& e) {
    e.extract({"x"}, {"y"}, [](const std::string& name) {
      EXPECT_EQ(name, "y");
      return Type::tensor(DType::Float32, Shape{Dim(2)});
    });
  });
  ASSERT_EQ(model.graph().output_size(), 1);
  EXPECT_EQ(model.graph().output(0).type().tensor_type().shape().dim(0).dim_value(), 2);
}

TEST(ModelEditor, SaysWhatIsNotThere) {
  struct Row {
    std::function<void(ModelEditor&)> edit;
    const char* text;
  };
  auto no_type = [](const std::string&) { return Type(); };
  const std::vector<Row> rows = {
      {[](ModelEditor& e) { e.rename("nobody", "x2"); }, "no value and no node 'nobody'"},
      {[&](ModelEditor& e) { e.extract({"w"}, {"y"}, no_type); }, "'c'"},
      {[&](ModelEditor& e) { e.extract({}, {"nobody"}, no_type); }, "no value 'nobody'"},
      {[](ModelEditor& e) { e.set_dimension("N", "-1"); }, "at least 0"},
      {[](ModelEditor& e) { e.set_dimension("x:3", "1"); }, "'x:3' is no axis"},
      {[](ModelEditor& e) { e.set_dimension("M", "1"); }, "'M'"},
      {[](ModelEditor& e) { e.set_dimension("N", ""); }, "is missing"},
  };
  for (const Row& row : rows) {
    ModelEditor editor(with_bodies().bytes());
    try {
      row.edit(editor);
      ADD_FAILURE() << row.text;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::BadInput) << e.what();
      EXPECT_NE(std::string(e.what()).find(row.text), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace onnxrun
