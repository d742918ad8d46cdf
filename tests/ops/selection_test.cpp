// TopK, Compress, Unique, NonMaxSuppression, EyeLike, BitCast, TensorScatter, Col2Im, CumProd.
#include <cmath>

#include "support/decomposition.h"
#include "support/lists.h"

namespace onnxrun::testing {

namespace {

Tensor ints(Dims dims, std::vector<int64_t> values) {
  return Tensor::of<int64_t>(std::move(dims), values);
}
Tensor bools(std::vector<int> values) {
  Tensor t(DType::Bool, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), t.data<uint8_t>());
  return t;
}

TEST(TopK, OrderOfEqualAndUnordered) {
  Tensor x = Tensor::of<float>({5}, {1, 3, NAN, 3, 2});
  auto largest = run_op({"TopK", {x, int_list({4})}, {}, 2});
  EXPECT_TRUE(identical(largest[1], int_list({2, 1, 3, 4})));
  auto smallest = run_op({"TopK", {x, int_list({3})}, {{"largest", int64_t{0}}}, 2});
  EXPECT_TRUE(identical(smallest[1], int_list({0, 4, 1})));
  Attributes old{{"k", int64_t{1}}, {"axis", int64_t{0}}};
  EXPECT_TRUE(identical(run_op({"TopK", {x}, old, 2, 1})[1], int_list({2})));
}

TEST(TopK, Gradient) {
  for (int64_t axis : {0, 1, -1}) {
    OpRun run{"TopK", {random_tensor({3, 4, 3}, 1), int_list({2})}, {{"axis", axis}}, 2};
    check_gradient(run, {.second_order = true});
    run.attributes["largest"] = int64_t{0};
    run.outputs = 1;
    check_gradient(run);
  }
}

TEST(TopK, Rejects) {
  Tensor x = random_tensor({2, 3}, 1);
  expect_error({"TopK", {x, int_list({4})}, {}, 2}, "K is 4, but axis -1 has 3 elements");
  expect_error({"TopK", {x, int_list({-1})}, {}, 2}, "K is -1");
  expect_error({"TopK", {x, int_list({1, 1})}, {}, 2}, "expected one number");
  expect_error({"TopK", {x, int_list({1})}, {{"axis", int64_t{2}}}, 2}, "axis 2 is outside");
  EXPECT_EQ(run_op({"TopK", {random_tensor({2, 0}, 1), int_list({0})}, {}, 2})[0].dims(),
            (Dims{2, 0}));
}

TEST(Compress, ValuesAndGradient) {
  Tensor x = random_tensor({3, 2}, 1);
  expect_close(run_op({"Compress", {x, bools({0, 1, 1})}, {{"axis", int64_t{0}}}})[0],
               Tensor::of<double>({2, 2}, {x.data<double>()[2], x.data<double>()[3],
                                           x.data<double>()[4], x.data<double>()[5]}));
  check_gradient({"Compress", {x, bools({0, 1})}, {{"axis", int64_t{-1}}}}, {.second_order = true});
  check_gradient({"Compress", {x, bools({0, 1, 0, 0, 1})}}, {.second_order = true});
  EXPECT_EQ(run_op({"Compress", {x, bools({})}})[0].dims(), (Dims{0}));
  expect_error({"Compress", {x, bools({0, 0, 1})}, {{"axis", int64_t{1}}}}, "there are 2 slices");
  expect_error({"Compress", {x, bools({1})}, {{"axis", int64_t{2}}}}, "axis 2 is outside");
  Tensor matrix(DType::Bool, {1, 1});
  matrix.data<uint8_t>()[0] = 1;
  expect_error({"Compress", {x, matrix}}, "expected a list");
}

TEST(Unique, NotANumberAndEmpty) {
  Tensor x = Tensor::of<float>({6}, {2, NAN, 1, NAN, 2, -INFINITY});
  auto out = run_op({"Unique", {x}, {}, 4});
  expect_close(out[0], Tensor::of<float>({4}, {-INFINITY, 1, 2, NAN}));
  EXPECT_TRUE(identical(out[1], int_list({5, 2, 0, 1})));
  EXPECT_TRUE(identical(out[2], int_list({2, 3, 1, 3, 2, 0})));
  EXPECT_TRUE(identical(out[3], int_list({1, 1, 2, 2})));
  EXPECT_TRUE(identical(run_op({"Unique", {x}, {{"sorted", int64_t{0}}}, 4})[2],
                        int_list({0, 1, 2, 1, 0, 3})));
  EXPECT_EQ(
      run_op({"Unique", {Tensor(DType::Float32, {0, 2})}, {{"axis", int64_t{0}}}, 4})[0].dims(),
      (Dims{0, 2}));
  EXPECT_EQ(
      run_op({"Unique", {Tensor(DType::Float32, {0, 2})}, {{"axis", int64_t{1}}}, 4})[0].dims(),
      (Dims{0, 1}));
  expect_error({"Unique", {x}, {{"axis", int64_t{1}}}, 1}, "axis 1 is outside");
}

TEST(NonMaxSuppression, Rejects) {
  Tensor boxes = Tensor::of<float>({1, 2, 4}, {0, 0, 1, 1, 0, 0, 1, 1}),
         scores = Tensor::of<float>({1, 1, 2}, {0.5f, NAN});
  EXPECT_TRUE(identical(run_op({"NonMaxSuppression", {boxes, scores, int_list({5})}})[0],
                        ints({1, 3}, {0, 0, 0})));
  EXPECT_EQ(run_op({"NonMaxSuppression", {boxes, scores}})[0].dims(), (Dims{0, 3}));
  EXPECT_EQ(run_op({"NonMaxSuppression", {boxes, scores, int_list({-3})}})[0].dims(), (Dims{0, 3}));
  expect_error({"NonMaxSuppression", {boxes, Tensor::of<float>({1, 1, 3}, {1, 1, 1})}},
               "do not fit");
  expect_error({"NonMaxSuppression", {Tensor(DType::Float32, {1, 2, 5}), scores}},
               "expected [batches, boxes, 4]");
  expect_error({"NonMaxSuppression", {boxes, Tensor(DType::Float32, {2})}},
               "expected [batches, classes, boxes]");
  expect_error(
      {"NonMaxSuppression", {boxes, scores, int_list({5}), Tensor::of<float>({1}, {1.5f})}},
      "iou_threshold is 1.5");
}

TEST(EyeLike, Diagonals) {
  Tensor x(DType::Float32, {2, 3});
  expect_close(run_op({"EyeLike", {x}, {{"k", int64_t{1}}}})[0],
               Tensor::of<float>({2, 3}, {0, 1, 0, 0, 0, 1}));
  for (int64_t k : {INT64_MIN, int64_t{-2}, int64_t{3}, INT64_MAX}) {
    expect_close(run_op({"EyeLike", {x}, {{"k", k}}})[0],
                 Tensor::of<float>({2, 3}, {0, 0, 0, 0, 0, 0}));
  }
  EXPECT_EQ(run_op({"EyeLike", {Tensor(DType::Float32, {0, 3})}})[0].dims(), (Dims{0, 3}));
  expect_error({"EyeLike", {Tensor(DType::Float32, {2})}}, "expected a matrix");
  expect_error({"EyeLike", {x}, {{"dtype", int64_t{8}}}}, "expected a number's type");
  expect_error({"EyeLike", {x}, {{"dtype", int64_t{99}}}}, "99");
}

TEST(BitCast, EveryPairOfTypes) {
  Tensor x = Tensor::of<float>({2}, {1, -2});
  EXPECT_TRUE(identical(run_op({"BitCast", {x}, {{"to", int64_t{6}}}})[0],
                        Tensor::of<int32_t>({2}, {0x3F800000, -0x40000000})));
  Tensor flags =
      run_op({"BitCast", {Tensor::of<uint8_t>({3}, {0, 1, 2})}, {{"to", int64_t{9}}}})[0];
  EXPECT_EQ(flags.data<uint8_t>()[2], 1);
  expect_error({"BitCast", {x}, {{"to", int64_t{7}}}}, "are not those of a int64");
  expect_error({"BitCast", {x}, {{"to", int64_t{8}}}}, "are not those of a string");
  expect_error({"BitCast", {x}}, "to");
}

TEST(TensorScatter, Gradients) {
  Tensor past = random_tensor({2, 2, 4, 3}, 1), update = random_tensor({2, 2, 2, 3}, 2);
  check_gradient({"TensorScatter", {past, update}}, {.second_order = true});
  check_gradient({"TensorScatter", {past, update, int_list({1, 2})}}, {.second_order = true});
  check_gradient(
      {"TensorScatter", {past, update, int_list({3, 6})}, {{"mode", std::string("circular")}}});
  check_gradient({"TensorScatter",
                  {random_tensor({2, 5}, 1), random_tensor({2, 2}, 2), int_list({0, 3})},
                  {{"axis", int64_t{1}}}});
}

TEST(TensorScatter, Rejects) {
  Tensor past = random_tensor({2, 4, 3}, 1), update = random_tensor({2, 2, 3}, 2);
  expect_error({"TensorScatter", {past, update, int_list({0, 3})}}, "do not fit from 3 on");
  expect_error({"TensorScatter", {past, update, int_list({0, INT64_MAX})}}, "do not fit from");
  expect_error({"TensorScatter", {past, update, int_list({-1, 0})}}, "do not fit from -1 on");
  expect_error({"TensorScatter", {past, update, int_list({0})}}, "expected one index for each");
  expect_error({"TensorScatter", {past, random_tensor({2, 5, 3}, 2)}}, "does not fit into");
  expect_error({"TensorScatter", {past, random_tensor({2, 2, 4}, 2)}}, "does not fit into");
  expect_error({"TensorScatter", {past, update}, {{"axis", int64_t{0}}}}, "axis 0 is the batch");
  EXPECT_EQ(run_op({"TensorScatter", {past, random_tensor({2, 0, 3}, 2)}})[0].dims(), past.dims());
}

TEST(Col2Im, GradientsAndTranspose) {
  Attributes a{{"strides", std::vector<int64_t>{2, 1}},
               {"pads", std::vector<int64_t>{1, 0, 1, 1}},
               {"dilations", std::vector<int64_t>{1, 2}}};
  OpRun run{"Col2Im", {random_tensor({2, 8, 9}, 1), int_list({5, 4}), int_list({2, 2})}, a};
  check_gradient(run, {.second_order = true});
  OpRun back{
      "onnxrun.Im2Col", {random_tensor({2, 2, 5, 4}, 1), int_list({5, 4}), int_list({2, 2})}, a};
  expect_decomposes(back);
  check_gradient({"Col2Im", {random_tensor({1, 2, 4}, 1), int_list({5}), int_list({2})}});
  EXPECT_EQ(run_op({"Col2Im", {random_tensor({0, 4, 4}, 1), int_list({3, 3}), int_list({2, 2})}})[0]
                .dims(),
            (Dims{0, 1, 3, 3}));
}

TEST(Col2Im, Rejects) {
  Tensor x = random_tensor({1, 4, 4}, 1);
  expect_error({"Col2Im", {x, int_list({3, 3}), int_list({2})}}, "differ in rank");
  expect_error({"Col2Im", {x, int_list({3, 4}), int_list({2, 2})}}, "expected 6 blocks");
  expect_error({"Col2Im", {x, int_list({3, 3}), int_list({2, 3})}}, "no whole number of blocks");
  expect_error({"Col2Im", {x, int_list({3, -3}), int_list({2, 2})}}, "negative length");
  expect_error({"Col2Im", {x, int_list({3, 3}), int_list({0, 2})}}, "block_shape is");
  expect_error({"Col2Im", {x, int_list({3, INT64_MAX}), int_list({2, 2})}}, "do not fit image");
  expect_error({"Col2Im",
                {x, int_list({3, 3}), int_list({2, 2})},
                {{"strides", std::vector<int64_t>{0, 1}}}},
               "attribute 'strides'");
  expect_error({"Col2Im", {random_tensor({4, 4}, 1), int_list({3, 3}), int_list({2, 2})}},
               "expected [N, C * block, blocks]");
}

TEST(CumProd, GradientsWithZeros) {
  Tensor axis = Tensor::scalar<int64_t>(1);
  Tensor zeros = random_tensor({3, 4}, 1);
  zeros.data<double>()[2] = 0;
  zeros.data<double>()[5] = zeros.data<double>()[7] = 0;
  for (int64_t exclusive : {0, 1}) {
    for (int64_t reverse : {0, 1}) {
      Attributes a{{"exclusive", exclusive}, {"reverse", reverse}};
      check_gradient({"CumProd", {random_tensor({3, 4, 2}, 1), axis}, a}, {.second_order = true});
      check_gradient({"CumProd", {zeros, axis}, a});
    }
  }
  expect_error({"CumProd", {zeros, Tensor::scalar<int64_t>(2)}}, "axis 2");
  expect_error({"CumProd", {zeros, int_list({0, 1})}}, "expected one number");
  EXPECT_EQ(run_op({"CumProd", {random_tensor({0, 2}, 1), axis}})[0].dims(), (Dims{0, 2}));
}

}  // namespace

}  // namespace onnxrun::testing
