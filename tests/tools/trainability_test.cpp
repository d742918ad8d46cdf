#include "trainability.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "builtin_ops.h"
#include "graph/builder.h"

namespace onnxrun::tool {
namespace {

class TrainabilityTest : public ::testing::Test {
 protected:
  ValueId parameter(const std::string& name, const Dims& dims, DType dtype = DType::Float32) {
    return graph_.add_initializer(name, Tensor(dtype, dims), Role::Parameter);
  }
  ValueId named(const std::string& node, const std::string& op, std::vector<ValueId> inputs,
                Attributes attributes = {}) {
    NodeOptions options;
    options.name = node;
    options.attributes = std::move(attributes);
    return builder_.add_n(op, std::move(inputs), 1, std::move(options)).front();
  }
  void check() {
    states_ = check_trainable(graph_, findings_);
    for (const Finding& f : findings_.all()) lines_.push_back(f.rule + ": " + f.error.what());
  }
  std::vector<bool> reached() const {
    std::vector<bool> list;
    for (const ParameterState& s : states_) list.push_back(s.reached);
    return list;
  }

  Graph graph_ = Graph(builtin_ops());
  GraphBuilder builder_ = GraphBuilder(graph_);
  ValueId x_ = graph_.add_input("x", Type::tensor(DType::Float32, Shape{2, 3}));
  Findings findings_;
  std::vector<ParameterState> states_;
  std::vector<std::string> lines_;
};

TEST_F(TrainabilityTest, NothingToSay) {
  graph_.outputs = {builder_.add(
      "Add", {builder_.add("MatMul", {x_, parameter("w", {3, 4})}), parameter("b", {4})})};
  check();
  EXPECT_EQ(reached(), (std::vector<bool>{true, true}));
  EXPECT_TRUE(lines_.empty());
}

// Behind each of two nodes is a parameter of its own; one that is reached around them is fine.
TEST_F(TrainabilityTest, NamesTheOperatorInTheWay) {
  ValueId a = builder_.add("MatMul", {x_, parameter("a", {3, 3})});
  ValueId b = builder_.add("Mul", {named("floor", "Floor", {a}), parameter("b", {3})});
  ValueId c = named("cast", "Cast", {b}, {{"to", static_cast<int64_t>(DType::Int64)}});
  ValueId around = builder_.add("Add", {x_, parameter("c", {3})});
  graph_.outputs = {named("back", "Cast", {c}, {{"to", static_cast<int64_t>(DType::Float32)}}),
                    around};
  check();
  EXPECT_EQ(reached(), (std::vector<bool>{false, false, true}));
  EXPECT_EQ(lines_,
            (std::vector<std::string>{
                "no-gradient: Floor node 'floor' : no gradient reaches parameter 'a': the operator "
                "is not differentiable",
                "no-gradient: Cast node 'cast' : no gradient reaches parameter 'b': the outputs of "
                "the operator are no floating-point numbers"}));
}

TEST_F(TrainabilityTest, UnusedParametersAndNone) {
  graph_.outputs = {builder_.add("Relu", {x_})};
  check();
  EXPECT_EQ(lines_, std::vector<std::string>{
                        "no-parameters: no initializer is a parameter: nothing would train"});
  lines_.clear();
  parameter("w", {3});
  check();
  EXPECT_EQ(lines_.back(), "no-gradient: no gradient reaches parameter 'w': no node reads it");
}

// All operators without a gradient are found, not only the last.
TEST_F(TrainabilityTest, GoesOnAfterAMissingGradient) {
  // The gradient of Tile needs a rank.
  Type ints = Type::tensor(DType::Int64, Shape{Dim()});
  ValueId shape = graph_.add_input("s", ints), repeats = graph_.add_input("r", ints);
  for (const std::string name : {"one", "two"}) {
    ValueId w = builder_.reshape(parameter("w" + name, {9}), shape);
    graph_.outputs.push_back(named(name, "Tile", {w, repeats}));
  }
  graph_.outputs.push_back(builder_.add("Mul", {x_, parameter("free", {3})}));
  check();
  ASSERT_GE(lines_.size(), 2u);
  EXPECT_TRUE(lines_[0].starts_with("no-gradient: Tile node 'two' : ")) << lines_[0];
  EXPECT_TRUE(lines_[1].starts_with("no-gradient: Tile node 'one' : ")) << lines_[1];
  EXPECT_EQ(reached(), (std::vector<bool>{false, false, true}));
}

// Training gives a Dropout the mask that its gradient needs.
TEST_F(TrainabilityTest, NodesAreInTheirTrainingMode) {
  ValueId y = builder_.add("MatMul", {x_, parameter("w", {3, 4})});
  ValueId ratio = builder_.scalar(0.5, DType::Float32);
  graph_.outputs = {
      builder_.add("Dropout", {y, ratio, builder_.constant(Tensor::scalar<bool>(true))})};
  check();
  EXPECT_TRUE(lines_.empty()) << lines_[0];
}

TEST_F(TrainabilityTest, SmallTypesAreNoted) {
  ValueId h = graph_.add_input("h", Type::tensor(DType::Float16, Shape{2, 3}));
  graph_.outputs = {builder_.add("Mul", {h, parameter("w", {3}, DType::Float16)})};
  check();
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(findings_.all()[0].severity, Severity::Note);
  EXPECT_NE(lines_[0].find("float16"), std::string::npos);
}

}  // namespace
}  // namespace onnxrun::tool
