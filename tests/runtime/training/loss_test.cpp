// Losses at the ends of their ranges, and targets of other shapes than the output.
#include "training/loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "builtin_ops.h"
#include "passes/gradient.h"
#include "support/graph_tester.h"

namespace onnxrun::testing {

namespace {

struct LossRow {
  const char* loss;
  Dims dims;
  std::vector<double> output, target;
  double value;
  std::vector<double> gradient;
};

// The loss and its gradient with respect to the output, as torch.nn.functional (2.13, float64)
// computes them; hinge is relu(1 - y t).mean(), nll_probs the nll_loss of clamped logarithms.
const std::vector<LossRow> loss_rows = {
    {"mse",
     {4},
     {1e+150, -1e+150, 0.0, 3.0},
     {0.0, 0.0, 0.0, 3.0},
     4.9999999999999995e+299,
     {5e+149, -5e+149, 0.0, 0.0}},
    {"sum_squared",
     {3},
     {1e+150, 0.0, 3.0},
     {0.0, 0.0, 3.0},
     9.999999999999999e+299,
     {2e+150, 0.0, 0.0}},
    {"mae",
     {4},
     {1e+300, -1e+300, 2.0, 2.0},
     {0.0, 0.0, 2.0, 1.0},
     5e+299,
     {0.25, -0.25, 0.0, 0.25}},
    {"huber",
     {6},
     {1e+300, -1e+300, 1.0, 0.5, -1.0, 0.0},
     {0.0, 0.0, 0.0, 0.0, 0.0, 0.0},
     3.3333333333333335e+299,
     {0.16666666666666666, -0.16666666666666666, 0.16666666666666666, 0.08333333333333333,
      -0.16666666666666666, 0.0}},
    {"bce",
     {7},
     {0.0, 0.0, 1.0, 1.0, 7.124576406741285e-218, 0.9999999999999, 0.5},
     {0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.25},
     47.23234892751839,
     {0.0, -142857143427.97183, 142857143427.97183, 0.0, -142857143427.97183, 142857143427.95755,
      0.14285714285714285}},
    {"bce_with_logits",
     {7},
     {0.0, 0.0, 500.0, -500.0, 500.0, -500.0, 0.0},
     {0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.25},
     143.1542059345257,
     {0.07142857142857142, -0.07142857142857142, 0.14285714285714285, -0.14285714285714285, 0.0,
      1.0177966295344692e-218, 0.03571428571428571}},
    {"kl",
     {4},
     {-700.0, -0.1, 0.0, -3.0},
     {0.0, 1.0, 1.0, 0.5},
     0.31335660243000685,
     {-0.0, -0.25, -0.25, -0.125}},
    {"nll",
     {2, 3},
     {-1e+300, 0.0, -5.0, -700.0, 0.0, -700.0},
     {0.0, 2.0},
     5e+299,
     {-0.5, 0.0, 0.0, 0.0, 0.0, -0.5}},
    {"cross_entropy",
     {3, 3},
     {1000.0, -1000.0, 0.0, 0.0, 0.0, 0.0, -1000.0, 1000.0, 1e+300},
     {1.0, 0.0, 2.0},
     667.0328707628894,
     {0.3333333333333333, -0.3333333333333333, 0.0, -0.2222222222222222, 0.1111111111111111,
      0.1111111111111111, 0.0, 0.0, 0.0}},
    {"nll_probs",
     {3, 3},
     {0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.2, 0.3, 0.5},
     {0.0, 0.0, 2.0},
     5.603747643839424,
     {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.6666666666666666}},
    {"hinge",
     {6},
     {1e+300, -1e+300, 1.0, -1.0, 0.0, 0.0},
     {1.0, 1.0, 1.0, -1.0, 1.0, -1.0},
     1.6666666666666668e+299,
     {-0.0, -0.16666666666666666, -0.0, 0.0, -0.16666666666666666, 0.16666666666666666}},
};

Type declared(const Tensor& t, bool known) {
  if (!known) return Type::tensor(t.dtype());
  return Type::tensor(t.dtype(), to_shape(t.dims()));
}

// The loss, and its gradient with respect to the output if `differentiates`. The target's shape is
// known beforehand or comes with it.
std::vector<Tensor> run_loss(const LossOptions& options, const Tensor& output, const Tensor& target,
                             bool differentiates = true, bool known = true) {
  Graph graph(builtin_ops());
  ValueId y = graph.add_input("y", declared(output, true));
  ValueId t = graph.add_input("t", declared(target, known));
  GraphBuilder b(graph);
  ValueId loss = add_loss(b, options, y, t);
  graph.outputs = {loss};
  if (differentiates) {
    graph.outputs.push_back(gradient(graph, {{loss, b.scalar_like(1, loss)}}, {y})[0]);
  }
  return run_graph(graph, {output, target});
}

Tensor doubles(const Dims& dims, const std::vector<double>& values) {
  return Tensor::of<double>(dims, values);
}

Tensor classes(const Dims& dims, const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>(dims, values);
}

TEST(Loss, IsFinitePyTorchsAtTheEndsOfItsRange) {
  for (const LossRow& row : loss_rows) {
    SCOPED_TRACE(row.loss);
    const bool indices = find_loss(row.loss).class_indices;
    Tensor target = doubles(indices ? Dims{row.dims[0]} : row.dims, row.target);
    if (indices) target = convert(target, DType::Int64);
    std::vector<Tensor> results = run_loss({row.loss}, doubles(row.dims, row.output), target);
    expect_close(results[0], Tensor::scalar(row.value), 1e-14, 0);
    expect_close(results[1], doubles(row.dims, row.gradient), 1e-14, 1e-300);
  }
}

TEST(Loss, IsFiniteInFloat16) {
  for (const char* loss : {"bce", "bce_with_logits"}) {
    Tensor y = convert(doubles({4}, {0, 1, 0, 1}), DType::Float16);
    Tensor t = convert(doubles({4}, {0, 0, 1, 1}), DType::Float16);
    for (const Tensor& result : run_loss({loss}, y, t)) {
      for (double v : to_doubles(result)) EXPECT_TRUE(std::isfinite(v)) << loss;
    }
  }
}

TEST(Loss, TakesTargetsWithOtherAxesOfLength1) {
  struct Case {
    Dims output, target;
  };
  for (const char* loss : {"mse", "mae", "huber", "bce", "bce_with_logits", "sum_squared"}) {
    for (const Case& c : std::vector<Case>{{{3, 1}, {3}}, {{3}, {3, 1}}, {{3, 1, 1}, {1, 3}}}) {
      Tensor y = doubles(c.output, {0.25, 0.5, 0.75}), t = doubles(c.target, {0, 1, 1});
      std::vector<Tensor> expected = run_loss({loss}, y, t.view(c.output));
      for (bool known : {true, false}) {
        std::vector<Tensor> found = run_loss({loss}, y, t, true, known);
        EXPECT_TRUE(identical(found[0], expected[0])) << loss;
        EXPECT_TRUE(identical(found[1], expected[1])) << loss;
      }
    }
  }
  Tensor scores = doubles({2, 3}, {1, 2, 3, 3, 2, 1}), labels = classes({2}, {2, 1});
  for (const char* loss : {"nll", "nll_probs", "cross_entropy"}) {
    double expected = to_doubles(run_loss({loss}, scores, labels)[0])[0];
    for (const Dims& dims : std::vector<Dims>{{2, 1}, {1, 2}}) {
      for (bool known : {true, false}) {
        EXPECT_EQ(to_doubles(run_loss({loss}, scores, labels.view(dims), true, known)[0])[0],
                  expected)
            << loss;
      }
    }
  }
}

TEST(Loss, FindsTheClassAxisOfTargetsWithAxesOfLength1) {
  auto axis = [](const Dims& output, const Dims& target) {
    Type t = Type::tensor(DType::Int64, to_shape(target));
    return class_axis_of({"nll"}, Type::tensor(DType::Float32, to_shape(output)), &t);
  };
  EXPECT_EQ(axis({4, 3}, {4, 1}), 1);
  EXPECT_EQ(axis({4, 5, 3}, {4, 5}), 2);
  EXPECT_EQ(axis({4, 5, 3}, {4, 5, 1}), 2);
  EXPECT_EQ(axis({4, 3, 5}, {4, 1, 5}), 1);
  EXPECT_EQ(axis({3, 4}, {4}), 0);
}

TEST(Loss, BroadcastsOnlyIfAllowed) {
  Tensor y = doubles({2, 1}, {0, 1}), t = doubles({3}, {0, 1, 2});
  for (bool known : {true, false}) {
    try {
      run_loss({"mse"}, y, t, true, known);
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::BadInput);
      std::string text = e.what();
      EXPECT_NE(text.find("double[3]"), std::string::npos) << text;
      EXPECT_NE(text.find("double[2,1]"), std::string::npos) << text;
      EXPECT_NE(text.find("--allow-broadcast"), std::string::npos) << text;
    }
  }
  LossOptions allowed{.name = "mse", .allow_broadcast = true};
  EXPECT_DOUBLE_EQ(to_doubles(run_loss(allowed, y, t)[0])[0], (0 + 1 + 4 + 1 + 0 + 1) / 6.0);
  // What is one target here is all pairs there.
  Tensor same = doubles({2}, {0, 1});
  EXPECT_EQ(to_doubles(run_loss({"mse"}, y, same)[0])[0], 0);
  EXPECT_DOUBLE_EQ(to_doubles(run_loss(allowed, y, same)[0])[0], 0.5);
}

}  // namespace

}  // namespace onnxrun::testing
