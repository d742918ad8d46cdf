// State so large that it is checked and copied in pieces.
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "base/threads.h"
#include "builtin_ops.h"
#include "graph/builder.h"
#include "onnxrun/trainer.h"
#include "plan/finite.h"

namespace onnxrun::testing {
namespace {

constexpr int64_t large = 400'003;

TEST(LargeState, IsFiniteToTheLastElement) {
  ThreadScope threads(2);
  Tensor t(DType::Float32, {large});
  std::fill_n(t.data<float>(), large, 1.0f);
  EXPECT_TRUE(all_finite(t));
  for (int64_t at : {int64_t{0}, large / 2, large - 1}) {
    t.data<float>()[at] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(all_finite(t)) << at;
    t.data<float>()[at] = 1;
  }
}

// y = sum(w * x), one weight an element.
std::vector<float> trained(int threads) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  Tensor w(DType::Float32, {1, large}), x(DType::Float32, {1, large});
  for (int64_t i = 0; i < large; ++i) {
    w.data<float>()[i] = static_cast<float>(i % 13) * 0.01f;
    x.data<float>()[i] = static_cast<float>(i % 7) * 0.001f;
  }
  ValueId in = graph.add_input("x", Type::tensor(DType::Float32, Shape{1, large}));
  ValueId product = b.add("Mul", {in, graph.add_initializer("w", w, Role::Parameter)});
  graph.outputs = {b.add("ReduceSum", {product})};
  TrainerOptions options;
  options.loss.name = "mse";
  options.optimizer = "adam";
  options.threads = threads;
  options.trainable = {"w"};
  Trainer trainer(Model(std::make_shared<Graph>(graph)), options);
  trainer.bind_input("x", x);
  trainer.bind_target(Tensor::of<float>({1, 1}, {3}));
  for (int step = 0; step < 3; ++step) trainer.step();
  Tensor result = trainer.weights().at("w");
  return {result.data<float>(), result.data<float>() + result.size()};
}

TEST(LargeState, IsTheSameOnAnyNumberOfThreads) {
  std::vector<float> one = trained(1);
  EXPECT_NE(one.back(), 0.01f * static_cast<float>((large - 1) % 13));  // the last one has moved
  for (int threads : {2, 3}) EXPECT_EQ(trained(threads), one) << threads;
}

}  // namespace
}  // namespace onnxrun::testing
