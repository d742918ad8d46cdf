#include "support/model_maker.h"

#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include "graph/infer_context.h"
#include "graph/upgrade_context.h"

namespace onnxrun {

namespace {

class Plain final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("alpha", alpha_, "any number");
    v.visit("mode", mode_, "any text");
  }
  void infer(InferContext& c) const override {
    for (size_t i = 0; i < c.num_outputs(); ++i) {
      c.set_output(i, c.num_inputs() > 0 && c.has_input(0) ? c.type(0) : Type());
    }
  }

 private:
  float alpha_ = 1.0f;
  std::string mode_ = "plain";
};

class WithBodies final : public Op {
 public:
  explicit WithBodies(bool loop) : loop_(loop) {}
  void infer(InferContext& c) const override {
    std::vector<Type> formal;
    if (loop_) {
      formal = {Type::tensor(DType::Int64, Shape{}), Type::tensor(DType::Bool, Shape{})};
      for (size_t i = 2; i < c.num_inputs(); ++i) formal.push_back(c.type(i));
    }
    for (size_t k = 0; k < c.num_bodies(); ++k) {
      std::vector<Type> types = c.infer_body(k, formal);
      size_t skip = loop_ ? 1 : 0;
      for (size_t i = 0; i + skip < types.size() && i < c.num_outputs(); ++i) {
        c.set_output(i, types[i + skip]);
      }
    }
  }

 private:
  bool loop_;
};

void upgrade_sum(UpgradeContext& c) {
  if (c.opset() < 13) c.attribute_to_input("axes", 1);
}
void upgrade_pass(UpgradeContext& c) {
  if (c.opset() < 10) c.replace({c.input(0)});
}
void upgrade_twice(UpgradeContext& c) {
  if (c.opset() < 10) c.replace({c.builder().add("Add", {c.input(0), c.input(0)})});
}

OpSpec spec(std::string_view name, std::vector<int> since, Param::Kind kind,
            std::string_view domain = "") {
  OpSpec s;
  s.name = name;
  s.domain = domain;
  s.since = std::move(since);
  s.inputs = {{"X", "T", kind, false, 0}};
  s.outputs = {{"Y", "T", Param::Kind::Variadic, false, 0}};
  s.types = {{"T", dtypes::all, dtypes::all, dtypes::all, true}};
  return s;
}

OpRegistry make_registry() {
  OpRegistry registry;
  auto variadic = Param::Kind::Variadic;
  OpSpec add = spec("Add", {1, 6, 7, 13, 14}, Param::Kind::Single);
  for (const char* more : {"B", "C", "D"}) add.inputs.push_back({more, "T", Param::Kind::Optional});
  registry.add<Plain>(std::move(add));
  registry.add<Plain>(spec("Mul", {1, 6, 7, 13, 14}, variadic));
  registry.add<Plain>(spec("Relu", {1, 6, 13, 14}, Param::Kind::Single));
  registry.add<Plain>(spec("Identity", {1, 13, 14, 16, 19, 21, 23, 24, 25}, Param::Kind::Single));
  registry.add<Plain>(spec("Late", {20}, variadic));
  registry.add<Plain>(spec("Private", {1}, variadic, private_domain));
  auto with = [&](OpSpec s, void (*upgrade)(UpgradeContext&)) {
    s.upgrade = upgrade;
    registry.add<Plain>(std::move(s));
  };
  with(spec("Sum2", {1, 13}, variadic), upgrade_sum);
  with(spec("Pass", {1, 10}, variadic), upgrade_pass);
  with(spec("Twice", {1, 10}, variadic), upgrade_twice);
  OpSpec branch = spec("If", {1, 11, 13, 16, 19, 21, 23, 24, 25}, variadic);
  branch.bodies = {"then_branch", "else_branch"};
  registry.add(std::move(branch), [] { return std::make_shared<WithBodies>(false); });
  OpSpec loop = spec("Loop", {1, 11, 13, 16, 19, 21, 23, 24, 25}, variadic);
  loop.bodies = {"body"};
  registry.add(std::move(loop), [] { return std::make_shared<WithBodies>(true); });
  return registry;
}

}  // namespace

const OpRegistry& maker_registry() {
  static const OpRegistry registry = make_registry();
  return registry;
}

ModelMaker::ModelMaker(int64_t opset, int64_t ir_version) {
  model.set_ir_version(ir_version);
  auto* import = model.add_opset_import();
  import->set_domain("");
  import->set_version(opset);
  graph().set_name("g");
}

void ModelMaker::input(const std::string& name, const std::vector<std::string>& dims, int type) {
  auto* info = graph().add_input();
  info->set_name(name);
  auto* tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape();
  for (const std::string& d : dims) {
    auto* dim = tensor->mutable_shape()->add_dim();
    if (d.empty()) continue;
    if (std::isdigit(static_cast<unsigned char>(d[0])) || d[0] == '-') {
      dim->set_dim_value(std::stoll(d));
    } else {
      dim->set_dim_param(d);
    }
  }
}

onnx::NodeProto& ModelMaker::add_node(Nodes& nodes, const std::string& op,
                                      const std::vector<std::string>& inputs,
                                      const std::vector<std::string>& outputs) {
  onnx::NodeProto& node = *nodes.Add();
  node.set_op_type(op);
  for (const auto& name : inputs) node.add_input(name);
  for (const auto& name : outputs) node.add_output(name);
  return node;
}

void ModelMaker::fill(onnx::TensorProto& tensor, const std::vector<float>& values) {
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  tensor.add_dims(static_cast<int64_t>(values.size()));
  tensor.set_raw_data(values.data(), values.size() * sizeof(float));
}

onnx::TensorProto& ModelMaker::add_initializer(onnx::GraphProto& graph, const std::string& name,
                                               const std::vector<float>& values) {
  onnx::TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  fill(tensor, values);
  return tensor;
}

onnx::AttributeProto& ModelMaker::attribute(onnx::NodeProto& node, const std::string& name,
                                            onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  a.set_type(type);
  return a;
}

onnx::GraphProto& ModelMaker::body(onnx::NodeProto& node, const std::string& name) {
  onnx::GraphProto& graph = *attribute(node, name, onnx::AttributeProto::GRAPH).mutable_g();
  graph.set_name(name);
  return graph;
}

onnx::FunctionProto& ModelMaker::function(const std::string& name,
                                          const std::vector<std::string>& inputs,
                                          const std::vector<std::string>& outputs) {
  onnx::FunctionProto& f = *model.add_functions();
  f.set_name(name);
  f.set_domain("my");
  for (const auto& i : inputs) f.add_input(i);
  for (const auto& o : outputs) f.add_output(o);
  *f.add_opset_import() = model.opset_import(0);
  return f;
}

ModelMaker small_model() {
  ModelMaker m;
  m.input("x", {"N", "2"});
  m.initializer("w", {1, 2});
  m.node("Add", {"x", "w"}, {"y"}).set_name("add");
  m.output("y");
  return m;
}

void add_unknown(google::protobuf::Message& message, int number, const std::string& bytes) {
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(number, bytes);
}

}  // namespace onnxrun
