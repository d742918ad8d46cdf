#include <gtest/gtest.h>

#include "base/error.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

using onnx::AttributeProto;

std::string names(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string text;
  for (ValueId id : ids) text += (text.empty() ? "" : " ") + graph.name_of(id);
  return text;
}

TEST(Import, KeepsNamesTypesAndSource) {
  ModelMaker m = small_model();
  m.model.set_producer_name("maker");
  m.model.set_producer_version("3");
  Graph g = m.import();
  verify(g);
  EXPECT_EQ(g.name, "g");
  EXPECT_EQ(names(g, g.inputs), "x");
  EXPECT_EQ(names(g, g.outputs), "y");
  EXPECT_EQ(g.value(g.inputs[0]).type.to_string(), "float[N,2]");
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.nodes[0].name, "add");
  EXPECT_EQ(g.source->bytes, m.bytes());
  EXPECT_EQ(g.source->producer, "maker 3");
  EXPECT_EQ(g.source->opsets.at(""), current_opset);
  ValueId w = g.find("w");
  ASSERT_EQ(g.initializers.count(w), 1u);
  const StoredTensor& stored =
      g.source->stored.at(static_cast<size_t>(g.initializers.at(w).stored));
  EXPECT_EQ(stored.name, "w");
  EXPECT_EQ(stored.path, (std::vector<std::pair<int, int>>{{7, 0}, {5, 0}}));
}

TEST(Import, ConstantsBecomeInitializersNamedByTheirOutput) {
  ModelMaker m;
  m.input("x", {});
  ModelMaker::fill(
      *ModelMaker::attribute(m.node("Constant", {}, {"t"}), "value", AttributeProto::TENSOR)
           .mutable_t(),
      {1, 2, 3});
  ModelMaker::attribute(m.node("Constant", {}, {"f"}), "value_float", AttributeProto::FLOAT)
      .set_f(2.5f);
  auto& floats =
      ModelMaker::attribute(m.node("Constant", {}, {"fs"}), "value_floats", AttributeProto::FLOATS);
  floats.add_floats(1);
  floats.add_floats(2);
  ModelMaker::attribute(m.node("Constant", {}, {"i"}), "value_int", AttributeProto::INT).set_i(-3);
  ModelMaker::attribute(m.node("Constant", {}, {"is"}), "value_ints", AttributeProto::INTS)
      .add_ints(7);
  ModelMaker::attribute(m.node("Constant", {}, {"s"}), "value_string", AttributeProto::STRING)
      .set_s("a");
  ModelMaker::attribute(m.node("Constant", {}, {"ss"}), "value_strings", AttributeProto::STRINGS)
      .add_strings("b");
  m.node("Mul", {"x", "t", "f", "fs", "i", "is"}, {"y"});
  m.output("y");
  m.output("s");
  m.output("ss");
  Graph g = m.import();
  verify(g);
  EXPECT_EQ(g.nodes.size(), 1u);
  auto type = [&](const char* name) {
    const Initializer& init = g.initializers.at(g.find(name));
    EXPECT_GE(init.stored, 0) << name;
    return init.value.type_text();
  };
  EXPECT_EQ(type("t"), "float[3]");
  EXPECT_EQ(type("f"), "float[]");
  EXPECT_EQ(type("fs"), "float[2]");
  EXPECT_EQ(type("i"), "int64[]");
  EXPECT_EQ(type("is"), "int64[1]");
  EXPECT_EQ(type("s"), "string[]");
  EXPECT_EQ(type("ss"), "string[1]");
  EXPECT_EQ(g.initializers.at(g.find("f")).value.data<float>()[0], 2.5f);
  EXPECT_EQ(names(g, g.outputs), "y s ss");
}

TEST(Import, OmittedInputsAndOutputsHaveNoValue) {
  ModelMaker m = small_model();
  m.graph().mutable_node(0)->add_input("");
  m.graph().mutable_node(0)->add_input("x");
  m.graph().mutable_node(0)->add_input("");
  m.graph().mutable_node(0)->add_output("");
  m.graph().mutable_node(0)->add_output("z");
  Graph g = m.import();
  verify(g);
  EXPECT_EQ(g.nodes[0].inputs.size(), 4u);
  EXPECT_EQ(g.nodes[0].inputs[2], no_value);
  ASSERT_EQ(g.nodes[0].outputs.size(), 3u);
  EXPECT_EQ(g.nodes[0].outputs[1], no_value);
}

TEST(Import, ListedInitializersCanBeOverriddenFromIrVersion4On) {
  for (int64_t ir : {3, 4}) {
    ModelMaker m = small_model();
    m.model.set_ir_version(ir);
    m.input("w", {"K"});
    Graph g = m.import();
    verify(g);
    EXPECT_EQ(names(g, g.inputs), "x");
    EXPECT_EQ(names(g, g.overridable), ir >= 4 ? "w" : "");
    EXPECT_EQ(g.value(g.find("w")).type.to_string(), ir >= 4 ? "float[K]" : "float[2]");
  }
}

TEST(Import, OldFormsAreRaised) {
  ModelMaker m(9);
  m.input("x", {"2"});
  auto& axes = ModelMaker::attribute(m.node("Sum2", {"x"}, {"s"}), "axes", AttributeProto::INTS);
  axes.add_ints(1);
  m.node("Pass", {"s"}, {"p"});
  m.node("Twice", {"p"}, {"t"}).set_name("twice");
  m.node("Pass", {"x"}, {"y"});
  m.output("t");
  m.output("y");
  Graph g = m.import();
  verify(g);
  ASSERT_EQ(g.nodes.size(), 4u);
  EXPECT_EQ(g.nodes[0].inputs.size(), 2u);
  EXPECT_EQ(to_int64s(g.initializers.at(g.nodes[0].inputs[1]).value), (std::vector<int64_t>{1}));
  EXPECT_EQ(g.nodes[1].info->spec.name, "Identity");  // p has a value of its name
  EXPECT_EQ(g.nodes[2].info->spec.name, "Add");
  EXPECT_EQ(names(g, g.nodes[2].outputs), "t");
  EXPECT_EQ(names(g, g.outputs), "t y");
}

TEST(Import, NamesOfTheFileComeBeforeMadeUpOnes) {
  ModelMaker m(9);
  m.input("x", {"2"});
  ModelMaker::attribute(m.node("Sum2", {"x"}, {"s"}), "axes", AttributeProto::INTS).add_ints(1);
  m.node("Relu", {"s"}, {"s/const"});
  m.output("s/const");
  Graph g = m.import();
  verify(g);
  EXPECT_EQ(names(g, g.outputs), "s/const");
  EXPECT_EQ(g.nodes[1].outputs[0], g.outputs[0]);
  EXPECT_NE(g.name_of(g.nodes[0].inputs[1]), "s/const");
}

TEST(Import, DeclaredTypesAreNotBelievedAboutLengths) {
  ModelMaker m = small_model();
  m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  auto& shape = *m.graph().mutable_output(0)->mutable_type()->mutable_tensor_type();
  shape.set_elem_type(1);
  shape.mutable_shape()->add_dim()->set_dim_value(7);
  Graph g = m.import();
  EXPECT_EQ(g.value(g.outputs[0]).type.to_string(), "float[?]");
}

TEST(Import, MetadataOfValuesIsKept) {
  ModelMaker m = small_model();
  auto* info = m.graph().add_value_info();
  info->set_name("w");
  onnx::StringStringEntryProto entry;
  entry.set_key("kind");
  entry.set_value("PARAMETER");
  add_unknown(*info, 4, entry.SerializeAsString());
  Graph g = m.import();
  EXPECT_EQ(g.value(g.find("w")).metadata.at("kind"), "PARAMETER");
}

TEST(Import, SparseTensorsBecomeDense) {
  for (bool linear : {true, false}) {
    ModelMaker m;
    m.input("x", {"2", "3"});
    auto& sparse = *m.graph().add_sparse_initializer();
    sparse.add_dims(2);
    sparse.add_dims(3);
    sparse.mutable_values()->set_name("w");
    ModelMaker::fill(*sparse.mutable_values(), {5, 6});
    auto& indices = *sparse.mutable_indices();
    indices.set_data_type(onnx::TensorProto::INT64);
    indices.add_dims(2);
    if (!linear) indices.add_dims(2);
    for (int64_t i : linear ? std::vector<int64_t>{1, 5} : std::vector<int64_t>{0, 1, 1, 2}) {
      indices.add_int64_data(i);
    }
    m.node("Add", {"x", "w"}, {"y"});
    m.output("y");
    Graph g = m.import();
    const Tensor& w = g.initializers.at(g.find("w")).value;
    EXPECT_EQ(w.type_text(), "float[2,3]");
    EXPECT_EQ(to_doubles(w), (std::vector<double>{0, 5, 0, 0, 0, 6}));
  }
}

}  // namespace
}  // namespace onnxrun
