// Clip, Pow, PRelu, Mod, Min, Max, Sum, Mean.
#include <cmath>

#include "support/decomposition.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Tensor row(std::initializer_list<float> v) {
  return Tensor::of<float>({static_cast<int64_t>(v.size())}, v);
}
Tensor ints(std::initializer_list<int32_t> v) {
  return Tensor::of<int32_t>({static_cast<int64_t>(v.size())}, v);
}

TEST(Clip, BothBoundsEitherOrNone) {
  Tensor x = row({-2, 0.5f, 3, NAN});
  Tensor low = Tensor::scalar(-1.0f), high = Tensor::scalar(1.0f);
  expect_close(run_op({"Clip", {x, low, high}})[0], row({-1, 0.5f, 1, NAN}));
  expect_close(run_op({"Clip", {x, low}})[0], row({-1, 0.5f, 3, NAN}));
  expect_close(run_op({"Clip", {x, Tensor(), high}})[0], row({-2, 0.5f, 1, NAN}));
  expect_close(run_op({"Clip", {x}})[0], x);
  expect_close(run_op({"Clip", {x, high, low}})[0], row({-1, -1, -1, NAN}));
}

TEST(Clip, EveryNumericType) {
  for (DType t :
       {DType::Float16, DType::BFloat16, DType::Float64, DType::Int8, DType::Int16, DType::Int32,
        DType::Int64, DType::UInt8, DType::UInt16, DType::UInt32, DType::UInt64}) {
    SCOPED_TRACE(to_string(t));
    Tensor x = convert(row({1, 5, 9}), t), low = convert(Tensor::scalar(3.0f), t);
    Tensor high = convert(Tensor::scalar(7.0f), t);
    expect_close(run_op({"Clip", {x, low, high}})[0], convert(row({3, 5, 7}), t));
  }
}

TEST(Clip, OldOpsetsHaveAttributes) {
  OpRun run{"Clip", {row({-2, 9, INFINITY})}, {{"min", 0.0f}, {"max", 6.0f}}};
  run.opset = 6;
  expect_close(run_op(run)[0], row({0, 6, 6}));
  run.attributes.erase("max");
  expect_close(run_op(run)[0], row({0, 9, 3.4028234663852886e38f}));
}

TEST(Clip, BoundsAreScalars) {
  expect_error({"Clip", {row({1, 2}), row({1, 2})}},
               "a bound must be a scalar: min 'in1' is float[2]");
}

TEST(Clip, Gradients) {
  for (const Dims& dims : {Dims{}, Dims{0}, Dims{3, 4}}) {
    SCOPED_TRACE(to_string(dims));
    Tensor x = random_tensor(dims, 4, -2, 2);
    check_gradient({"Clip", {x, Tensor::scalar(-0.9), Tensor::scalar(1.1)}},
                   {.second_order = true});
    check_gradient({"Clip", {x, Tensor::scalar(0.3)}});
    check_gradient({"Clip", {x, Tensor::of<double>({1}, {1.3}), Tensor::of<double>({1}, {0.2})}});
  }
}

TEST(Pow, FloatsToAnyPower) {
  Tensor x = row({-2, 0, 3, 0.5f});
  expect_close(run_op({"Pow", {x, Tensor::scalar(2.0f)}})[0], row({4, 0, 9, 0.25f}));
  expect_close(run_op({"Pow", {x, Tensor::scalar(3.0f)}})[0], row({-8, 0, 27, 0.125f}));
  expect_close(run_op({"Pow", {x, Tensor::scalar(0.5f)}})[0],
               row({NAN, 0, std::sqrt(3.0f), std::sqrt(0.5f)}));
  expect_close(run_op({"Pow", {x, Tensor::scalar(0.0f)}})[0], row({1, 1, 1, 1}));
  expect_close(run_op({"Pow", {x, Tensor::scalar(-1.0f)}})[0], row({-0.5f, INFINITY, 1 / 3.0f, 2}));
  expect_close(run_op({"Pow", {x, row({1, 2, 3, 4})}})[0], row({-2, 0, 27, 0.0625f}));
  expect_close(run_op({"Pow", {Tensor::scalar(2.0f), x}})[0], row({0.25f, 1, 8, std::sqrt(2.0f)}));
}

TEST(Pow, TypesOfBaseAndExponentDiffer) {
  expect_close(run_op({"Pow", {row({2, 3}), Tensor::scalar<int64_t>(3)}})[0], row({8, 27}));
  expect_close(run_op({"Pow", {row({2, 3}), Tensor::of<uint8_t>({2}, {3, 2})}})[0], row({8, 9}));
  expect_close(run_op({"Pow", {ints({2, -3, 1, -1}), ints({10, 3, -5, -5})}})[0],
               ints({1024, -27, 1, -1}));
  expect_close(run_op({"Pow", {ints({2, -3, 7}), Tensor::scalar(2.5f)}})[0],
               ints({5, INT32_MIN, 129}));
  expect_close(run_op({"Pow", {ints({3}), Tensor::scalar<int64_t>(40)}})[0],
               ints({static_cast<int32_t>(12157665459056928801ull & 0xffffffff)}));
  Tensor half = convert(row({1.5f, 3}), DType::Float16);
  expect_close(run_op({"Pow", {half, Tensor::scalar(2.0)}})[0],
               convert(row({2.25f, 9}), DType::Float16));
}

TEST(Pow, LongAndBroadcast) {
  Tensor x = random_tensor({3, 1000}, 1, 0.5, 2), y = random_tensor({1000}, 2, -2, 2);
  Tensor z = run_op({"Pow", {x, y}})[0];
  for (int64_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(z.data<double>()[i], std::pow(x.data<double>()[i], y.data<double>()[i % 1000]),
                1e-13);
  }
}

TEST(Pow, Gradients) {
  for (const auto& [a, b] : std::vector<std::pair<Dims, Dims>>{
           {{2, 3}, {2, 3}}, {{2, 3}, {}}, {{1}, {2, 2}}, {{0}, {}}}) {
    SCOPED_TRACE(to_string(a) + to_string(b));
    check_gradient({"Pow", {random_tensor(a, 1, 0.5, 2), random_tensor(b, 2, -2, 2)}},
                   {.second_order = true});
  }
  for (double exponent : {2.0, 3.0, 0.5, 0.0, -1.0}) {
    SCOPED_TRACE(exponent);
    check_gradient({"Pow", {random_tensor({4}, 3, 0.5, 2), Tensor::scalar(exponent)}},
                   {.wrt = {0}, .second_order = true});
  }
  check_gradient({"Pow", {random_tensor({4}, 3, 0.5, 2), Tensor::of<int32_t>({4}, {0, 1, 2, -1})}},
                 {.wrt = {0}, .second_order = true});
}

TEST(PRelu, SlopeBroadcastsToX) {
  Tensor x = Tensor::of<float>({2, 2}, {-1, 2, -3, -4});
  expect_close(run_op({"PRelu", {x, row({0.5f, 2})}})[0],
               Tensor::of<float>({2, 2}, {-0.5f, 2, -1.5f, -8}));
  expect_error({"PRelu", {row({1, 2}), Tensor::of<float>({2, 1}, {1, 2})}},
               "the slope does not broadcast to X");
  expect_close(run_op({"PRelu", {ints({-2, 3}), ints({4})}})[0], ints({-8, 3}));
}

TEST(PRelu, BeforeOpset7SlopesAreChannels) {
  OpRun run{"PRelu", {Tensor::of<float>({1, 2, 2}, {-1, -1, -1, 1}), row({2, 3})}};
  run.opset = 6;
  expect_close(run_op(run)[0], Tensor::of<float>({1, 2, 2}, {-2, -2, -3, 1}));
}

TEST(PRelu, Gradients) {
  for (const auto& [x, s] : std::vector<std::pair<Dims, Dims>>{
           {{2, 3}, {3}}, {{2, 3}, {2, 1}}, {{2, 3}, {}}, {{0, 3}, {1}}}) {
    SCOPED_TRACE(to_string(x) + to_string(s));
    check_gradient({"PRelu", {random_tensor(x, 1, -2, 2), random_tensor(s, 2)}},
                   {.second_order = true});
  }
}

TEST(Mod, RoundsTheQuotientDownOrToZero) {
  Attributes fmod = {{"fmod", int64_t{1}}};
  Tensor a = ints({-4, 7, 5, INT32_MIN, 3}), b = ints({3, -3, 8, -1, 0});
  expect_close(run_op({"Mod", {a, b}})[0], ints({2, -2, 5, 0, 0}));
  expect_close(run_op({"Mod", {a, b}, fmod})[0], ints({-1, 1, 5, 0, 0}));
  Tensor x = row({-4.25f, 7.5f, -2, INFINITY}), y = row({3, -3, INFINITY, 2});
  expect_close(run_op({"Mod", {x, y}})[0], row({1.75f, -1.5f, INFINITY, NAN}));
  expect_close(run_op({"Mod", {x, y}, fmod})[0], row({-1.25f, 1.5f, -2, NAN}));
  expect_close(
      run_op({"Mod", {Tensor::of<uint8_t>({2}, {200, 9}), Tensor::of<uint8_t>({1}, {7})}})[0],
      Tensor::of<uint8_t>({2}, {4, 2}));
}

TEST(Mod, Gradients) {
  Tensor a = random_tensor({3, 4}, 1, -5, 5), b = random_tensor({4}, 2, 1, 2);
  check_gradient({"Mod", {a, b}});
  check_gradient({"Mod", {a, b}, {{"fmod", int64_t{1}}}});
}

TEST(SwiGlu, GatesItsSecondInput) {
  Tensor a = random_tensor({3, 300}, 1, -4, 4), b = random_tensor({3, 300}, 2);
  Tensor y = run_op({"SwiGLU", {a, b}, {{"alpha", 1.5f}}})[0];
  for (int64_t i = 0; i < a.size(); ++i) {
    double gate = a.data<double>()[i];
    ASSERT_NEAR(y.data<double>()[i], gate / (1 + std::exp(-1.5 * gate)) * b.data<double>()[i],
                1e-14);
  }
  check_gradient({"SwiGLU", {random_tensor({2, 3}, 1), random_tensor({2, 3}, 2)}},
                 {.second_order = true});
  expect_decomposes({"SwiGLU", {random_tensor({2, 3}, 1), random_tensor({2, 3}, 2)}});
  expect_error({"SwiGLU", {a, random_tensor({300}, 2)}}, "the inputs' shapes differ");
}

TEST(Variadic, OverBroadcastInputs) {
  Tensor a = row({1, 5, 3}), b = Tensor::of<float>({2, 1}, {2, 4}), c = Tensor::scalar(3.0f);
  expect_close(run_op({"Max", {a, b, c}})[0], Tensor::of<float>({2, 3}, {3, 5, 3, 4, 5, 4}));
  expect_close(run_op({"Min", {a, b, c}})[0], Tensor::of<float>({2, 3}, {1, 2, 2, 1, 3, 3}));
  expect_close(run_op({"Sum", {a, b, c}})[0], Tensor::of<float>({2, 3}, {6, 10, 8, 8, 12, 10}));
  expect_close(run_op({"Mean", {a, b, c}})[0],
               Tensor::of<float>({2, 3}, {2, 10 / 3.0f, 8 / 3.0f, 8 / 3.0f, 4, 10 / 3.0f}));
  expect_close(run_op({"Max", {a}})[0], a);
}

TEST(Variadic, NanWinsAndTypesCompare) {
  expect_close(run_op({"Max", {row({1, NAN}), row({NAN, 1})}})[0], row({NAN, NAN}));
  expect_close(run_op({"Min", {row({1, NAN}), row({NAN, 1})}})[0], row({NAN, NAN}));
  Tensor a = Tensor::of<uint64_t>({2}, {1, ~0ull}), b = Tensor::of<uint64_t>({2}, {2, 3});
  expect_close(run_op({"Max", {a, b}})[0], Tensor::of<uint64_t>({2}, {2, ~0ull}));
}

TEST(Variadic, SumsOfHalvesAreRoundedOnce) {
  Tensor big = convert(Tensor::scalar(2048.0f), DType::Float16),
         one = convert(Tensor::scalar(1.0f), DType::Float16);
  EXPECT_EQ(values_of(run_op({"Sum", {big, one, one}})[0])[0], 2050);
}

TEST(Variadic, OneInputSeveralTimes) {
  Tensor x = random_tensor({700}, 3);
  Tensor y = run_op({"Sum", {x, x, x}})[0];
  for (int64_t i = 0; i < x.size(); ++i)
    ASSERT_NEAR(y.data<double>()[i], 3 * x.data<double>()[i], 1e-15);
}

TEST(Variadic, Gradients) {
  for (const char* op : {"Max", "Min", "Sum", "Mean"}) {
    for (const auto& shapes : std::vector<std::vector<Dims>>{
             {{3}}, {{2, 3}, {3}}, {{2, 1}, {1, 3}, {}}, {{0, 3}, {1}}}) {
      std::vector<Tensor> inputs;
      for (const Dims& d : shapes)
        inputs.push_back(random_tensor(d, static_cast<uint32_t>(inputs.size()) + 1));
      SCOPED_TRACE(std::string(op) + " of " + std::to_string(shapes.size()));
      check_gradient({op, inputs}, {.second_order = std::string(op) == "Mean"});
    }
  }
}

}  // namespace

}  // namespace onnxrun::testing
