// Which initializers are taken for parameters in files whose exporter marked none.
#include "passes/parameters.h"

#include <gtest/gtest.h>

#include <set>

#include "builtin_ops.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

struct Maker : ModelMaker {
  Maker() : ModelMaker(13) { input("x", {"2", "3", "4"}); }

  void tensor(const std::string& name, const std::vector<int64_t>& dims) {
    set_dims(initializer(name, {}), dims);
  }
  void constant(const std::string& name, const std::vector<int64_t>& dims, float number = 0.5f) {
    auto& value = attribute(node("Constant", {}, {name}), "value", onnx::AttributeProto::TENSOR);
    fill(*value.mutable_t(), {});
    set_dims(*value.mutable_t(), dims, number);
  }
  static void set_dims(onnx::TensorProto& tensor, const std::vector<int64_t>& dims,
                       float number = 0.5f) {
    int64_t count = 1;
    tensor.clear_dims();
    for (int64_t n : dims) {
      tensor.add_dims(n);
      count *= n;
    }
    std::vector<float> values(static_cast<size_t>(count), number);
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
  }
  void mean(const std::string& of, const std::string& result) {
    auto& axes = attribute(node("ReduceMean", {of}, {result}), "axes", onnx::AttributeProto::INTS);
    axes.add_ints(-1);
  }

  // Names of the parameters, in alphabetical order.
  std::string parameters() const {
    Graph graph = import_model_bytes(bytes(), "", builtin_ops(), {});
    choose_parameters(graph);
    std::set<std::string> names;
    for (const auto& [id, init] : graph.initializers) {
      if (init.role == Role::Parameter) names.insert(graph.name_of(id));
    }
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
    return text;
  }
};

TEST(Parameters, MaskBesideScaledProductOfActivationsIsNone) {
  Maker m;
  m.tensor("wq", {4, 4});
  m.tensor("bq", {4});
  m.tensor("scale", {});
  m.tensor("mask", {3, 3});
  m.node("MatMul", {"x", "wq"}, {"p"});
  m.node("Add", {"p", "bq"}, {"q"});
  auto& perm =
      ModelMaker::attribute(m.node("Transpose", {"q"}, {"t"}), "perm", onnx::AttributeProto::INTS);
  for (int64_t axis : {0, 2, 1}) perm.add_ints(axis);
  m.node("MatMul", {"q", "t"}, {"scores"});
  m.node("Mul", {"scores", "scale"}, {"scaled"});
  m.node("Add", {"scaled", "mask"}, {"y"});
  m.output("y");
  EXPECT_EQ(m.parameters(), "bq wq");
}

TEST(Parameters, NormWrittenOut) {
  Maker m;
  m.tensor("two", {});
  m.tensor("eps", {});
  m.tensor("weight", {4});
  m.tensor("bias", {4});
  m.mean("x", "mean");
  m.node("Sub", {"x", "mean"}, {"d"});
  m.node("Pow", {"d", "two"}, {"square"});
  m.mean("square", "variance");
  m.node("Add", {"variance", "eps"}, {"v"});
  m.node("Sqrt", {"v"}, {"spread"});
  m.node("Div", {"d", "spread"}, {"n"});
  m.node("Mul", {"n", "weight"}, {"scaled"});
  m.node("Add", {"scaled", "bias"}, {"y"});
  m.output("y");
  EXPECT_EQ(m.parameters(), "bias weight");
}

// x * (r * gamma) + (-mean * (r * gamma) + beta), as TensorFlow writes it.
TEST(Parameters, NormWithItsScaleFirst) {
  Maker m;
  m.tensor("eps", {});
  m.tensor("gamma", {4});
  m.tensor("beta", {4});
  m.mean("x", "mean");
  m.node("Neg", {"mean"}, {"minus"});
  m.node("Mul", {"x", "x"}, {"square"});
  m.mean("square", "variance");
  m.node("Add", {"variance", "eps"}, {"v"});
  m.node("Sqrt", {"v"}, {"root"});
  m.node("Reciprocal", {"root"}, {"r"});
  m.node("Mul", {"r", "gamma"}, {"s"});
  m.node("Mul", {"x", "s"}, {"a"});
  m.node("Mul", {"minus", "s"}, {"b"});
  m.node("Add", {"b", "beta"}, {"c"});
  m.node("Add", {"a", "c"}, {"y"});
  m.output("y");
  EXPECT_EQ(m.parameters(), "beta gamma");
}

TEST(Parameters, NormFoldedBehindActivation) {
  Maker m;
  m.tensor("w", {4, 4});
  m.tensor("scale", {1, 1, 4});
  m.tensor("shift", {1, 1, 4});
  m.node("MatMul", {"x", "w"}, {"p"});
  m.node("Relu", {"p"}, {"h"});
  m.node("Mul", {"h", "scale"}, {"s"});
  m.node("Add", {"s", "shift"}, {"y"});
  m.output("y");
  EXPECT_EQ(m.parameters(), "scale shift w");
}

TEST(Parameters, NumbersInConstantNodesBesideStoredWeights) {
  Maker m;
  m.tensor("w", {4, 2});
  m.constant("factor", {2});
  m.constant("v", {2, 3});
  m.node("MatMul", {"x", "w"}, {"p"});
  m.node("Mul", {"p", "factor"}, {"q"});
  m.node("MatMul", {"q", "v"}, {"y"});
  m.output("y");
  EXPECT_EQ(m.parameters(), "v w");
}

// An optimizer has made the Constant nodes of a norm without weights initializers.
TEST(Parameters, InitializersThatWereConstantNodes) {
  Maker m;
  m.tensor("/norm/Constant_output_0", {3});
  m.tensor("/norm/Constant_1_output_0", {3});
  m.tensor("/out/Transpose_output_0", {4, 2});
  m.node("InstanceNormalization", {"x", "/norm/Constant_output_0", "/norm/Constant_1_output_0"},
         {"n"});
  m.node("MatMul", {"n", "/out/Transpose_output_0"}, {"y"});
  m.output("y");
  EXPECT_EQ(m.parameters(), "/out/Transpose_output_0");
}

// A state of zeros that a layer is first fed with; zeros in a product of two weights train.
TEST(Parameters, ZerosThatALayerStartsWith) {
  Maker m;
  m.tensor("state", {2, 4});
  m.graph().mutable_initializer(0)->set_raw_data(std::string(32, '\0'));
  m.tensor("w", {4, 4});
  m.tensor("b", {4});
  m.node("Gemm", {"state", "w", "b"}, {"h"});
  m.tensor("low", {4, 1});
  m.graph().mutable_initializer(3)->set_raw_data(std::string(16, '\0'));
  m.tensor("rank", {1, 4});
  m.node("MatMul", {"low", "rank"}, {"update"});
  m.node("MatMul", {"x", "update"}, {"p"});
  m.output("h");
  m.output("p");
  EXPECT_EQ(m.parameters(), "b low rank w");
}

TEST(Parameters, WeightsInConstantNodes) {
  Maker m;
  m.constant("w", {4, 2});
  m.node("MatMul", {"x", "w"}, {"y"});
  m.output("y");
  EXPECT_EQ(m.parameters(), "w");
}

// RNN_V2 of examples/recurrent_classifier, as the legacy exporter writes it.
TEST(Parameters, StateOfZerosThatALoopStartsFromIsNone) {
  Maker m;
  m.model.set_producer_name("pytorch");
  m.tensor("h2h.weight", {4, 4});
  m.constant("/h2h/Constant_output_0", {1, 4}, 0);
  m.constant("/h2o/Constant_output_0", {3, 3});
  m.node("MatMul", {"/h2h/Constant_output_0", "h2h.weight"}, {"h"});
  m.node("Add", {"x", "h"}, {"s"});
  m.node("MatMul", {"/h2o/Constant_output_0", "s"}, {"y"});
  m.output("y");
  EXPECT_EQ(m.parameters(), "/h2o/Constant_output_0 h2h.weight");
}

// A StringStringEntryProto in wire form; all lengths are below 128.
std::string entry(const std::string& key, const std::string& value) {
  auto field = [](char number, const std::string& text) {
    return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(text.size())} + text;
  };
  return field(1, key) + field(2, value);
}

void add_unknown(google::protobuf::Message& message, int field, const std::string& bytes) {
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(field, bytes);
}

// What PyTorch's default exporter writes beside a graph and beside folded tensors.
struct MarkedMaker : Maker {
  explicit MarkedMaker(const std::string& lines) {
    add_unknown(graph(), 16, entry("pkg.torch.export.ExportedProgram.graph_signature", lines));
  }
  void folded(const std::string& name, const std::string& from) {
    onnx::ValueInfoProto& info = *graph().add_value_info();
    info.set_name(name);
    add_unknown(info, 4, entry("pkg.onnxscript.optimizer.folded_from", from));
  }
};

TEST(Parameters, SignatureDecidesWhateverUsesThem) {
  MarkedMaker m("p_c: PARAMETER target='cls'\nc_w: CONSTANT_TENSOR target='m.w'\nx: USER_INPUT\n");
  m.tensor("cls", {3, 1});
  m.tensor("m.w", {4, 4});
  m.node("MatMul", {"x", "m.w"}, {"p"});
  m.node("Greater", {"p", "cls"}, {"y"});
  m.output("y");
  EXPECT_EQ(m.parameters(), "cls");
}

TEST(Parameters, CopiesOfOneOriginAreOne) {
  MarkedMaker m("p_w: PARAMETER target='w'\np_v: PARAMETER target='v'\n");
  for (const char* name : {"val_1", "val_2", "val_3"}) m.tensor(name, {4, 4});
  m.folded("val_1", "['w']");
  m.folded("val_2", "['w']");
  m.folded("val_3", "['v']");
  m.node("MatMul", {"x", "val_1"}, {"a"});
  m.node("MatMul", {"a", "val_2"}, {"b"});
  m.node("MatMul", {"b", "val_3"}, {"y"});
  m.output("y");
  EXPECT_EQ(m.parameters(), "val_1 val_3");
  Graph graph = import_model_bytes(m.bytes(), "", builtin_ops(), {});
  choose_parameters(graph);
  EXPECT_EQ(graph.nodes[0].inputs[1], graph.nodes[1].inputs[1]);
  const Initializer& first = graph.initializers.at(graph.find("val_1"));
  int second = graph.initializers.at(graph.find("val_2")).stored;
  EXPECT_EQ(first.copies, std::vector<int>{second});
}

TEST(Parameters, NamesOfModulesInFilesWithoutMarks) {
  Maker m;
  m.model.set_producer_name("pytorch");
  m.tensor("cls", {3, 1});
  m.tensor("limit", {});
  m.tensor("onnx::Mul_7", {4});
  m.tensor("temperature", {});
  m.tensor("scalar_tensor_default", {});
  m.node("Concat", {"x", "x"}, {"c"}).add_attribute()->set_name("axis");
  m.graph().mutable_node(0)->mutable_attribute(0)->set_type(onnx::AttributeProto::INT);
  m.node("Pow", {"c", "temperature"}, {"p"});
  m.node("Mul", {"p", "onnx::Mul_7"}, {"q"});
  m.node("Mul", {"q", "scalar_tensor_default"}, {"t"});
  m.node("Clip", {"t", "limit"}, {"r"});
  m.node("Sub", {"cls", "cls"}, {"s"});
  m.output("r");
  m.output("s");
  EXPECT_EQ(m.parameters(), "cls temperature");
}

}  // namespace
}  // namespace onnxrun
