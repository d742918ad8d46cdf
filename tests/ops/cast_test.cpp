#include <cmath>
#include <limits>

#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

OpRun cast(Tensor from, DType to) {
  return {"Cast", {std::move(from)}, {{"to", static_cast<int64_t>(to)}}};
}

TEST(Cast, Numbers) {
  Tensor x = Tensor::of<float>({4}, {-1.5f, 0, 2.7f, 300});
  expect_close(run_op(cast(x, DType::Int64))[0], Tensor::of<int64_t>({4}, {-1, 0, 2, 300}));
  expect_close(run_op(cast(x, DType::Bool))[0], Tensor::of<bool>({4}, {true, false, true, true}));
  expect_close(run_op(cast(x, DType::Float64))[0], convert(x, DType::Float64));
  expect_close(run_op(cast(x, DType::Float16))[0], convert(x, DType::Float16));
  expect_close(run_op(cast(Tensor::of<bool>({2}, {true, false}), DType::Float32))[0],
               Tensor::of<float>({2}, {1, 0}));
  expect_close(run_op(cast(Tensor::of<int64_t>({1}, {258}), DType::UInt8))[0],
               Tensor::of<uint8_t>({1}, {2}));
}

TEST(Cast, LargeTensorsGoInPieces) {
  Tensor x = random_tensor({40001, 3}, 5, -9, 9);
  for (DType t : {DType::Float32, DType::Float16, DType::Int4, DType::UInt2, DType::Float6E2M3,
                  DType::Float8E4M3FN}) {
    EXPECT_TRUE(identical(run_op(cast(x, t))[0], convert(x, t))) << to_string(t);
  }
}

TEST(Cast, SaturationAndRoundingAreAttributes) {
  Tensor x = Tensor::of<float>({3}, {1000, 3, INFINITY});
  OpRun run = cast(x, DType::Float8E4M3FN);
  expect_close(run_op(run)[0], convert(Tensor::of<float>({3}, {448, 3, 448}), DType::Float8E4M3FN));
  run.attributes["saturate"] = int64_t{0};
  EXPECT_TRUE(std::isnan(values_of(run_op(run)[0])[0]));
  run = cast(Tensor::of<float>({1}, {3}), DType::Float8E8M0);
  EXPECT_EQ(values_of(run_op(run)[0])[0], 4);
  run.attributes["round_mode"] = std::string("down");
  EXPECT_EQ(values_of(run_op(run)[0])[0], 2);
  run.attributes["round_mode"] = std::string("sideways");
  expect_error(run, "round_mode is 'sideways'");
}

TEST(Cast, NumbersToTextAsNumPyPrintsThem) {
  struct Case {
    Tensor from;
    std::vector<std::string> text;
  };
  const std::vector<Case> cases = {
      {Tensor::of<float>({9}, {0.1f, 1, -2.5f, 1e-5f, 1e16f, 123456.0f, NAN, INFINITY, -0.0f}),
       {"0.1", "1.0", "-2.5", "1e-05", "1e+16", "123456.0", "nan", "inf", "-0.0"}},
      {Tensor::of<double>({5}, {0.1, 1e15, 1.0 / 3, 0.0001, 3.14}),
       {"0.1", "1000000000000000.0", "0.3333333333333333", "0.0001", "3.14"}},
      {convert(Tensor::of<float>({3}, {0.1f, 65504, 2}), DType::Float16),
       {"0.1", "65500.0", "2.0"}},
      {Tensor::of<int64_t>({2}, {-7, 12}), {"-7", "12"}},
      {Tensor::of<bool>({2}, {true, false}), {"True", "False"}},
      {convert(Tensor::of<float>({2}, {-3, 7}), DType::Int4), {"-3", "7"}}};
  for (const Case& c : cases) {
    Tensor text = run_op(cast(c.from, DType::String))[0];
    for (int64_t i = 0; i < text.size(); ++i) {
      EXPECT_EQ(text.data<std::string>()[i], c.text[static_cast<size_t>(i)]) << c.from.type_text();
    }
  }
}

TEST(Cast, TextToNumbers) {
  Tensor text =
      Tensor::of<std::string>({7}, {"3.14", "1e-5", "1E8", "+INF", "-inf", "nan", " 12 "});
  expect_close(run_op(cast(text, DType::Float64))[0],
               Tensor::of<double>({7}, {3.14, 1e-5, 1e8, INFINITY, -INFINITY, NAN, 12}));
  expect_close(run_op(cast(Tensor::of<std::string>({3}, {"100", "-7", "100.5"}), DType::Int64))[0],
               Tensor::of<int64_t>({3}, {100, -7, 100}));
  expect_close(
      run_op(cast(Tensor::of<std::string>({1}, {"18446744073709551615"}), DType::UInt64))[0],
      Tensor::of<uint64_t>({1}, {std::numeric_limits<uint64_t>::max()}));
  expect_close(run_op(cast(Tensor::of<std::string>({2}, {"True", "0"}), DType::Bool))[0],
               Tensor::of<bool>({2}, {true, false}));
  for (const char* bad : {"99999999999999999999", "nan", "-inf", "1e19"}) {
    expect_error(cast(Tensor::of<std::string>({1}, {bad}), DType::Int64), "is no int64");
  }
  expect_error(cast(Tensor::of<std::string>({2}, {"1", "Hello"}), DType::Float32),
               "'Hello' (element 1) is no float");
}

TEST(Cast, OldOpsetsNameTheType) {
  OpRun run{"Cast", {Tensor::of<float>({1}, {2.5f})}, {{"to", std::string("INT32")}}};
  run.opset = 1;
  expect_close(run_op(run)[0], Tensor::of<int32_t>({1}, {2}));
}

TEST(Cast, LikeAnother) {
  expect_close(
      run_op({"CastLike", {Tensor::of<float>({1}, {2.5f}), Tensor::scalar<int32_t>(0)}})[0],
      Tensor::of<int32_t>({1}, {2}));
  expect_error({"Cast", {Tensor::scalar(1.0f)}, {{"to", int64_t{14}}}}, "'to' is complex64");
  check_gradient(cast(random_tensor({2, 3}, 1), DType::Float64));
  check_gradient({"CastLike", {random_tensor({2, 3}, 1), Tensor::scalar(1.0)}}, {.wrt = {0}});
}

}  // namespace

}  // namespace onnxrun::testing
