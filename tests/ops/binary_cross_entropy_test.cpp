// onnxrun.BinaryCrossEntropy and onnxrun.BinaryCrossEntropyWithLogits.
#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

constexpr const char* of_probabilities = "onnxrun.BinaryCrossEntropy";
constexpr const char* of_logits = "onnxrun.BinaryCrossEntropyWithLogits";

TEST(BinaryCrossEntropy, GradientsAndDecompositions) {
  for (const Dims& t : std::vector<Dims>{{2, 3}, {3}, {2, 1}, {}, {4, 2, 3}}) {
    for (const char* op : {of_probabilities, of_logits}) {
      SCOPED_TRACE(std::string(op) + ", " + std::to_string(t.size()));
      bool logits = op == of_logits;
      OpRun run{op,
                {logits ? random_tensor({2, 3}, 1, -3, 3) : random_tensor({2, 3}, 1, 0.05, 0.95),
                 random_tensor(t, 2, 0, 1)}};
      run_op(run);
      check_gradient(run, {.second_order = true});
      expect_decomposes(run, 1e-12);
    }
  }
  for (const char* op : {of_probabilities, of_logits}) {
    run_op({op, {random_tensor({0, 3}, 1), random_tensor({0, 3}, 2)}});
  }
}

// torch.nn.functional.binary_cross_entropy, reduction none.
TEST(BinaryCrossEntropy, StopsAtTheEndsOfItsRange) {
  Tensor y = Tensor::of<double>({6}, {0, 0, 1, 1, 1e-300, 0.25});
  Tensor t = Tensor::of<double>({6}, {0, 1, 0, 1, 1, 0.75});
  expect_close(run_op({of_probabilities, {y, t}})[0],
               Tensor::of<double>({6}, {0, 100, 100, 0, 100, 1.111641288952863}), 1e-15, 0);
}

// torch.nn.functional.binary_cross_entropy_with_logits, reduction none.
TEST(BinaryCrossEntropyWithLogits, IsFiniteForAnyLogit) {
  Tensor y = Tensor::of<double>({6}, {0, 0, 1000, -1000, -1000, 40});
  Tensor t = Tensor::of<double>({6}, {0, 1, 0, 0, 1, 1});
  expect_close(run_op({of_logits, {y, t}})[0],
               Tensor::of<double>({6}, {0.6931471805599453, 0.6931471805599453, 1000, 0, 1000,
                                        4.248354255291589e-18}),
               1e-15, 0);
}

}  // namespace

}  // namespace onnxrun::testing
