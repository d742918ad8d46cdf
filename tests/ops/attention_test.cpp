// Attention, RotaryEmbedding, LinearAttention, CausalConvWithState. Values are the standard's node
// tests; here are gradients, and what is rejected.
#include <cmath>

#include "support/decomposition.h"
#include "support/lists.h"

namespace onnxrun::testing {

namespace {

Attributes heads(int64_t q, int64_t kv) { return {{"q_num_heads", q}, {"kv_num_heads", kv}}; }

void check(const OpRun& run, const std::vector<size_t>& wrt = {}) {
  expect_decomposes(run, 1e-12, std::vector<size_t>{});
  check_gradient(run, {.wrt = wrt, .second_order = true});
}

TEST(Attention, GradientsInEveryForm) {
  Tensor q = random_tensor({2, 4, 3, 2}, 1), k = random_tensor({2, 2, 5, 2}, 2),
         v = random_tensor({2, 2, 5, 3}, 3), mask = random_tensor({3, 5}, 4),
         past_k = random_tensor({2, 2, 2, 2}, 5), past_v = random_tensor({2, 2, 2, 3}, 6);
  check({"Attention", {q, k, v}});
  check({"Attention", {q, k, v, mask}, {{"softcap", 0.7f}, {"scale", 0.9f}}});
  check({"Attention", {q, k, v}, {{"is_causal", int64_t{1}}}});
  check({"Attention", {q, k, v, {}, past_k, past_v}, {{"is_causal", int64_t{1}}}, 3});
  check({"Attention", {q, k, v, random_tensor({2, 1, 3, 7}, 4), past_k, past_v}, {}, 3});
  check({"Attention", {q, k, v, {}, {}, {}, int_list({4, 1})}, {{"is_causal", int64_t{1}}}});
  check({"Attention",
         {q, k, v},
         {{"left_window_size", int64_t{1}}, {"right_window_size", int64_t{0}}}});
  check({"Attention",
         {random_tensor({2, 3, 4}, 1), random_tensor({2, 5, 2}, 2), random_tensor({2, 5, 4}, 3)},
         heads(4, 2)});
  for (int64_t mode = 0; mode < 4; ++mode) {
    check({"Attention", {q, k, v, mask}, {{"qk_matmul_output_mode", mode}, {"softcap", 2.0f}}, 4});
  }
}

TEST(Attention, SymbolicLengths) {
  expect_decomposes({"Attention",
                     {random_tensor({2, 4, 3, 2}, 1), random_tensor({2, 2, 5, 2}, 2),
                      random_tensor({2, 2, 5, 3}, 3)},
                     {{"is_causal", int64_t{1}}}});
}

TEST(Attention, RowsWithoutKeysAreZero) {
  Tensor q = random_tensor({1, 1, 2, 2}, 1), k = random_tensor({1, 1, 2, 2}, 2);
  Tensor mask(DType::Bool, {2, 2});
  std::copy_n(std::vector<uint8_t>{0, 0, 1, 0}.begin(), 4, mask.data<uint8_t>());
  OpRun run{"Attention", {q, k, k, mask}};
  Tensor y = run_op(run)[0];
  expect_close(
      y, Tensor::of<double>({1, 1, 2, 2}, {0, 0, k.data<double>()[0], k.data<double>()[1]}), 1e-12);
  check_gradient(run);
}

TEST(Attention, Rejects) {
  Tensor q = random_tensor({1, 4, 3, 2}, 1), k = random_tensor({1, 2, 5, 2}, 2);
  const Tensor& v = k;
  expect_error({"Attention", {q, random_tensor({1, 3, 5, 2}, 2), random_tensor({1, 3, 5, 2}, 2)}},
               "4 heads of queries for 3 of keys");
  expect_error({"Attention", {q, random_tensor({1, 2, 5, 3}, 2), v}}, "head sizes");
  expect_error({"Attention", {q, k, random_tensor({1, 2, 4, 2}, 2)}}, "lengths of keys and values");
  expect_error({"Attention", {q, random_tensor({2, 2, 5, 2}, 2), v}}, "batch sizes differ");
  expect_error({"Attention", {random_tensor({3, 2}, 1), k, v}}, "expected rank 3 or 4");
  expect_error(
      {"Attention",
       {random_tensor({1, 3, 4}, 1), random_tensor({1, 3, 4}, 1), random_tensor({1, 3, 4}, 1)}},
      "needs q_num_heads");
  expect_error(
      {"Attention",
       {random_tensor({1, 3, 5}, 1), random_tensor({1, 3, 4}, 1), random_tensor({1, 3, 4}, 1)},
       heads(2, 2)},
      "not divisible by 2 heads");
  expect_error({"Attention", {q, k, v, random_tensor({3, 6}, 1)}}, "does not fit scores");
  expect_error({"Attention", {q, k, v, {}, k}}, "go together");
  expect_error({"Attention", {q, k, v}, {{"qk_matmul_output_mode", int64_t{4}}}}, "is 4");
  expect_error({"Attention", {q, k, v}, {{"left_window_size", int64_t{-2}}}}, "window size is -2");
  expect_error({"Attention", {q, k, v}, heads(0, 1)}, "below 1");
  expect_error({"Attention", {q, k, v}, {{"softmax_precision", int64_t{7}}}}, "is int64");
  EXPECT_EQ(run_op({"Attention", {random_tensor({1, 4, 0, 2}, 1), k, v}})[0].dims(),
            (Dims{1, 4, 0, 2}));
}

TEST(RotaryEmbedding, Gradients) {
  Tensor cos = random_tensor({6, 2}, 2), sin = random_tensor({6, 2}, 3),
         at = Tensor::of<int64_t>({2, 3}, {0, 1, 2, 5, -1, 2});
  for (int64_t interleaved : {0, 1}) {
    Attributes a{{"interleaved", interleaved}};
    check({"RotaryEmbedding", {random_tensor({2, 2, 3, 4}, 1), cos, sin, at}, a});
    a["rotary_embedding_dim"] = int64_t{4};
    a["num_heads"] = int64_t{2};
    check({"RotaryEmbedding", {random_tensor({2, 3, 12}, 1), cos, sin, at}, a});
    check({"RotaryEmbedding",
           {random_tensor({2, 3, 12}, 1), random_tensor({2, 3, 2}, 2), random_tensor({2, 3, 2}, 3)},
           a});
  }
}

TEST(RotaryEmbedding, Rejects) {
  Tensor x = random_tensor({1, 2, 3, 4}, 1), cos = random_tensor({6, 2}, 2),
         at = Tensor::of<int64_t>({1, 3}, {0, 1, 6});
  expect_error({"RotaryEmbedding", {x, cos, cos, at}}, "6");
  expect_error({"RotaryEmbedding", {x, cos, cos}}, "expected rank 3");
  expect_error({"RotaryEmbedding", {x, random_tensor({6, 3}, 2), cos, at}}, "expected 2 columns");
  expect_error({"RotaryEmbedding", {random_tensor({1, 3, 4}, 1), cos, cos, at}}, "needs num_heads");
  expect_error({"RotaryEmbedding", {x, cos, cos, at}, {{"rotary_embedding_dim", int64_t{3}}}},
               "expected an even number");
  expect_error({"RotaryEmbedding", {x, cos, cos, at}, {{"rotary_embedding_dim", int64_t{6}}}},
               "6 of 4 elements");
  expect_error({"RotaryEmbedding", {random_tensor({2, 2}, 1), cos, cos, at}},
               "expected rank 3 or 4");
}

TEST(LinearAttention, GradientsOfEveryRule) {
  Tensor q = random_tensor({2, 3, 8}, 1), k = random_tensor({2, 3, 4}, 2),
         v = random_tensor({2, 3, 6}, 3), state = random_tensor({2, 2, 2, 3}, 4),
         decay = random_tensor({2, 3, 2}, 5, -1, 0), beta = random_tensor({2, 3, 2}, 6, 0, 1);
  auto rule = [](const char* name) {
    Attributes a = heads(4, 2);
    a["update_rule"] = std::string(name);
    return a;
  };
  auto run = [&](const OpRun& r) {
    expect_decomposes(r, 1e-12, std::vector<size_t>{});
    check_gradient(r);
  };
  run({"LinearAttention", {q, k, v}, rule("linear"), 2});
  run({"LinearAttention", {q, k, v, state, decay}, rule("gated"), 2});
  run({"LinearAttention", {q, k, v, state, random_tensor({2, 3, 4}, 5, -1, 0)}, rule("gated"), 2});
  run({"LinearAttention", {q, k, v, state, {}, beta}, rule("delta"), 2});
  Attributes scaled = rule("gated_delta");
  scaled["scale"] = 0.7f;
  run({"LinearAttention", {q, k, v, {}, decay, random_tensor({2, 3, 1}, 6, 0, 1)}, scaled, 2});
}

TEST(LinearAttention, Rejects) {
  Tensor q = random_tensor({2, 3, 8}, 1), k = random_tensor({2, 3, 4}, 2);
  Attributes a = heads(4, 2), linear = a;
  linear["update_rule"] = std::string("linear");
  expect_error({"LinearAttention", {q, k, k}, a, 2}, "needs input 'decay'");
  expect_error({"LinearAttention", {q, k, k, {}, k}, linear, 2}, "has no input 'decay'");
  expect_error({"LinearAttention", {q, q, k}, linear, 2}, "queries have 2 elements a head, keys 4");
  expect_error({"LinearAttention", {q, random_tensor({2, 2, 4}, 1), k}, linear, 2},
               "expected [2,3,?]");
  expect_error({"LinearAttention", {q, k, k, random_tensor({2, 2, 2, 3}, 1)}, linear, 2},
               "expected [2,2,2,2]");
  linear["kv_num_heads"] = int64_t{3};
  expect_error({"LinearAttention", {q, k, k}, linear, 2}, "4 heads of queries for 3");
  linear["update_rule"] = std::string("other");
  expect_error({"LinearAttention", {q, k, k}, linear, 2}, "update_rule is 'other'");
}

TEST(CausalConvWithState, Gradients) {
  Tensor x = random_tensor({2, 3, 4}, 1), w = random_tensor({3, 1, 3}, 2),
         b = random_tensor({3}, 3), past = random_tensor({2, 3, 2}, 4);
  check({"CausalConvWithState", {x, w}, {}, 2});
  check({"CausalConvWithState", {x, w, b, past}, {{"activation", std::string("silu")}}, 2});
  check({"CausalConvWithState", {random_tensor({2, 3, 1}, 1), w, {}, past}, {}, 2});
}

TEST(CausalConvWithState, Rejects) {
  Tensor x = random_tensor({2, 3, 4}, 1), w = random_tensor({3, 1, 3}, 2);
  expect_error({"CausalConvWithState", {x, random_tensor({2, 1, 3}, 2)}, {}, 2},
               "expected [3,1,?]");
  expect_error({"CausalConvWithState", {x, random_tensor({3, 1, 0}, 2)}, {}, 2}, "is empty");
  expect_error({"CausalConvWithState", {x, w, random_tensor({2}, 2)}, {}, 2}, "expected [3]");
  expect_error({"CausalConvWithState", {x, w, {}, random_tensor({2, 3, 3}, 2)}, {}, 2},
               "expected [2,3,2]");
  expect_error({"CausalConvWithState", {random_tensor({2, 3}, 1), w}, {}, 2}, "expected [?,?,?]");
  expect_error({"CausalConvWithState", {x, w}, {{"activation", std::string("relu")}}, 2},
               "activation is 'relu'");
}

}  // namespace

}  // namespace onnxrun::testing
