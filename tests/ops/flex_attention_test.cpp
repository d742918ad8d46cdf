// FlexAttention, in model files. The standard's node tests have its numbers.
#include "base/error.h"
#include "builtin_ops.h"
#include "support/graph_tester.h"
#include "support/model_maker.h"
#include "support/tested_operators.h"

namespace onnxrun::testing {

namespace {

constexpr int float64 = 11;

// y = FlexAttention(q, k, v), with a factor w that subgraphs may read.
struct FlexModel : ModelMaker {
  onnx::NodeProto* flex;

  explicit FlexModel(const std::vector<std::string>& dims = {"", "", "", ""}) {
    auto* import = model.add_opset_import();
    import->set_domain("ai.onnx.preview");
    import->set_version(1);
    for (const char* name : {"q", "k", "v"}) input(name, dims, float64);
    input("w", {}, float64);
    flex = &node("FlexAttention", {"q", "k", "v"}, {"y"});
    flex->set_domain("ai.onnx.preview");
    output("y");
  }

  // The body is op(x, w), or op(x).
  void modify(const char* name, const char* op, bool reads_w = true) {
    onnx::GraphProto& graph = body(*flex, name);
    graph.add_input()->set_name("x");
    std::vector<std::string> inputs = {"x"};
    if (reads_w) inputs.emplace_back("w");
    add_node(*graph.mutable_node(), op, inputs, {"out"});
    graph.add_output()->set_name("out");
  }

  Graph import() const {
    Graph g = import_model_bytes(bytes(), "", builtin_ops(), {});
    verify(g);
    for (Tried what : {Tried::Run, Tried::Gradient}) record(what, "ai.onnx.preview.FlexAttention");
    return g;
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

std::vector<Tensor> operands() {
  return {random_tensor({2, 4, 3, 2}, 1), random_tensor({2, 2, 5, 2}, 2),
          random_tensor({2, 2, 5, 3}, 3), Tensor::scalar(0.7)};
}

TEST(FlexAttention, WithoutSubgraphsIsAttention) {
  std::vector<Tensor> in = operands();
  FlexModel m;
  Tensor plain = run_op({"Attention", {in[0], in[1], in[2]}})[0];
  expect_close(run_graph(m.import(), in)[0], plain, 1e-12);
  check_graph_gradient(m.import(), in);
  ModelMaker::attribute(*m.flex, "scale", onnx::AttributeProto::FLOAT).set_f(0.3f);
  Tensor scaled = run_op({"Attention", {in[0], in[1], in[2]}, {{"scale", 0.3f}}})[0];
  expect_close(run_graph(m.import(), in)[0], scaled, 1e-12);
}

// Scores times w are those of a scale that is w times as large.
TEST(FlexAttention, SubgraphsReadWhatIsAround) {
  std::vector<Tensor> in = operands();
  FlexModel m;
  m.modify("score_mod", "Mul");
  const float scale = 0.7f / std::sqrt(2.0f);
  Tensor expected = run_op({"Attention", {in[0], in[1], in[2]}, {{"scale", scale}}})[0];
  expect_close(run_graph(m.import(), in)[0], expected, 1e-6);
  check_graph_gradient(m.import(), in);
  m.modify("prob_mod", "Add");
  check_graph_gradient(m.import(), in);
}

// The softmax of float16 is computed in float, that of double in double.
TEST(FlexAttention, PrecisionOfTheSoftmax) {
  for (auto [attribute, precision] : {std::pair(0, DType::Float64), {1, DType::Float32}}) {
    FlexModel m;
    if (attribute) {
      ModelMaker::attribute(*m.flex, "softmax_precision", onnx::AttributeProto::INT)
          .set_i(attribute);
    }
    Graph g = m.import();
    bool found = false;
    for (const Node& node : g.nodes) {
      if (node.info->spec.name != "Softmax") continue;
      EXPECT_EQ(g.value(node.outputs[0]).type.dtype, precision);
      found = true;
    }
    EXPECT_TRUE(found);
  }
}

TEST(FlexAttention, Rejects) {
  FlexModel({"", "", ""}).expect_error("expected rank 4");
  FlexModel heads({"2", "2", "2", "2"});
  heads.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(7);
  heads.expect_error("");
  FlexModel shape;
  shape.modify("score_mod", "Shape", false);
  shape.expect_error("score_mod makes int64[4]");
  FlexModel unknown;
  unknown.modify("prob_mod", "Nope");
  unknown.expect_error("no operator of this name");
  FlexModel two;
  two.modify("score_mod", "Mul");
  two.flex->mutable_attribute(0)->mutable_g()->add_output()->set_name("out");
  two.expect_error("score_mod takes 1 inputs and gives 2 outputs");
  FlexModel typed;
  typed.modify("score_mod", "Neg", false);
  auto* type = typed.flex->mutable_attribute(0)->mutable_g()->mutable_input(0)->mutable_type();
  type->mutable_tensor_type()->set_elem_type(1);
  typed.expect_error("score_mod takes float");
  FlexModel precision;
  ModelMaker::attribute(*precision.flex, "softmax_precision", onnx::AttributeProto::INT).set_i(7);
  precision.expect_error("softmax_precision is int64");
}

}  // namespace

}  // namespace onnxrun::testing
