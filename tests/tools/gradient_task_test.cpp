// What `onnxrun grad --check` takes for right.
#include "gradient_task.h"

#include <gtest/gtest.h>

#include "builtin_ops.h"
#include "graph/builder.h"

namespace onnxrun::tool {
namespace {

class GradientTaskTest : public ::testing::Test {
 protected:
  GradientCheck check(const std::vector<double>& x, uint64_t seed = 0) {
    graph_.value(graph_.outputs[0]).name = "y";
    GradientTask task(graph_, {"x"}, seed);
    task.add_output("y");
    CommonOptions common;
    common.seed = seed;
    Tensor point = Tensor::of<double>({static_cast<int64_t>(x.size())}, x);
    gradients_ = task.gradients({{"x", point}}, common);
    return task.check({{"x", point}}, gradients_, common).at(0);
  }
  ValueId dropout() {
    ValueId on = builder_.constant(Tensor::scalar(true));
    ValueId half = builder_.constant(Tensor::scalar(0.5F));
    return builder_.add("Dropout", {x_, half, on});
  }

  Graph graph_ = Graph(builtin_ops());
  GraphBuilder builder_ = GraphBuilder(graph_);
  ValueId x_ = graph_.add_input("x", Type::tensor(DType::Float64, Shape{Dim::symbol("n")}));
  NamedValues gradients_;
};

TEST_F(GradientTaskTest, KinksAreNoErrors) {
  graph_.outputs = {builder_.add("Relu", {x_})};
  GradientCheck c = check({0, 1, -1, 1e-7, -1e-7});
  EXPECT_TRUE(c.right()) << c.message;
  EXPECT_EQ(c.checked, 5);
  EXPECT_GE(c.kinks, 1);
}

TEST_F(GradientTaskTest, WrongGradientsAreErrorsBesideKinksToo) {
  graph_.outputs = {builder_.add("Add", {builder_.add("Relu", {x_}), x_})};
  graph_.value(graph_.outputs[0]).name = "y";
  GradientTask task(graph_, {"x"});
  task.add_output("y");
  CommonOptions common;
  Tensor point = Tensor::of<double>({3}, {0, 1, -1});
  NamedValues wrong = {{"x", Tensor::of<double>({3}, {1.2, 2.1, 1})}};
  GradientCheck c = task.check({{"x", point}}, wrong, common).at(0);
  EXPECT_FALSE(c.right());
  EXPECT_EQ(c.kinks, 1);
  wrong = {{"x", Tensor::of<double>({3}, {2.5, 2, 1})}};
  EXPECT_FALSE(task.check({{"x", point}}, wrong, common).at(0).right());
}

TEST_F(GradientTaskTest, DropoutDrawsTheSameInEveryEvaluation) {
  graph_.outputs = {builder_.add("Mul", {dropout(), x_})};
  std::vector<double> x(40, 0.5);
  GradientCheck c = check(x, 3);
  EXPECT_TRUE(c.right()) << c.message;
  std::vector<double> first = to_doubles(gradients_[0].second.tensor);
  EXPECT_EQ(std::count(first.begin(), first.end(), 0) % 40 == 0, false);
  check(x, 3);
  EXPECT_EQ(first, to_doubles(gradients_[0].second.tensor));
  check(x, 4);
  EXPECT_NE(first, to_doubles(gradients_[0].second.tensor));
}

}  // namespace
}  // namespace onnxrun::tool
