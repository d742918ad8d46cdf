#include <cmath>

#include "builtin_ops.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Tensor bools(std::initializer_list<bool> v) {
  return Tensor::of<bool>({static_cast<int64_t>(v.size())}, v);
}

TEST(Comparison, OfFloats) {
  Tensor a = Tensor::of<float>({4}, {1, 2, 3, NAN}), b = Tensor::of<float>({4}, {2, 2, 2, NAN});
  expect_close(run_op({"Less", {a, b}})[0], bools({true, false, false, false}));
  expect_close(run_op({"LessOrEqual", {a, b}})[0], bools({true, true, false, false}));
  expect_close(run_op({"Greater", {a, b}})[0], bools({false, false, true, false}));
  expect_close(run_op({"GreaterOrEqual", {a, b}})[0], bools({false, true, true, false}));
  expect_close(run_op({"Equal", {a, b}})[0], bools({false, true, false, false}));
}

TEST(Comparison, OfEveryNumericType) {
  for (DType t :
       {DType::Float16, DType::BFloat16, DType::Float64, DType::Int8, DType::Int16, DType::Int32,
        DType::Int64, DType::UInt8, DType::UInt16, DType::UInt32, DType::UInt64}) {
    Tensor a = convert(Tensor::of<float>({3}, {1, 2, 3}), t), b = convert(Tensor::scalar(2.0f), t);
    SCOPED_TRACE(to_string(t));
    expect_close(run_op({"Less", {a, b}})[0], bools({true, false, false}));
    expect_close(run_op({"Less", {b, a}})[0], bools({false, false, true}));
    expect_close(run_op({"Equal", {a, b}})[0], bools({false, true, false}));
  }
}

TEST(Comparison, OfStringsAndBools) {
  Tensor a = Tensor::of<std::string>({2}, {"x", "y"}), b = Tensor::of<std::string>({1}, {"y"});
  expect_close(run_op({"Equal", {a, b}})[0], bools({false, true}));
  expect_close(run_op({"Equal", {bools({true, false}), bools({true, true})}})[0],
               bools({true, false}));
}

TEST(Comparison, Logic) {
  Tensor a = bools({false, false, true, true}), b = bools({false, true, false, true});
  expect_close(run_op({"And", {a, b}})[0], bools({false, false, false, true}));
  expect_close(run_op({"Or", {a, b}})[0], bools({false, true, true, true}));
  expect_close(run_op({"Xor", {a, b}})[0], bools({false, true, true, false}));
  expect_close(run_op({"Not", {a}})[0], bools({true, true, false, false}));
}

TEST(Comparison, OldOpsetsBroadcastFromAnAxis) {
  OpRun run{"Greater",
            {Tensor::of<float>({2, 2}, {1, 2, 3, 4}), Tensor::of<float>({2}, {1, 3})},
            {{"axis", int64_t{0}}, {"broadcast", int64_t{1}}}};
  run.opset = 1;
  expect_close(run_op(run)[0], Tensor::of<bool>({2, 2}, {false, true, false, true}));
}

TEST(Where, MovesEveryType) {
  Tensor c = Tensor::of<bool>({2, 1}, {true, false});
  for (DType t :
       {DType::Float32, DType::Float64, DType::Float16, DType::UInt8, DType::Int64, DType::Bool}) {
    SCOPED_TRACE(to_string(t));
    Tensor x = convert(Tensor::of<float>({2}, {1, 0}), t), y = convert(Tensor::scalar(1.0f), t);
    expect_close(run_op({"Where", {c, x, y}})[0],
                 convert(Tensor::of<float>({2, 2}, {1, 0, 1, 1}), t));
  }
  Tensor s = Tensor::of<std::string>({1}, {"long enough for the heap"}),
         e = Tensor::of<std::string>({1}, {""});
  expect_close(run_op({"Where", {c, s, e}})[0],
               Tensor::of<std::string>({2, 1}, {"long enough for the heap", ""}));
  using Complex = std::complex<double>;
  Tensor p = Tensor::of<Complex>({1}, {{1, 2}}), q = Tensor::of<Complex>({1}, {{3, 4}});
  expect_close(run_op({"Where", {c, p, q}})[0], Tensor::of<Complex>({2, 1}, {{1, 2}, {3, 4}}));
}

TEST(Where, FollowsShapes) {
  Graph graph(builtin_ops());
  Shape unknown = {Dim::symbol("batch"), 3};
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, unknown));
  GraphBuilder b(graph);
  ValueId shape = b.shape_of(x);
  ValueId kept = b.add("Equal", {shape, b.ints({-1})});
  ValueId lengths = b.add("Where", {kept, b.ints({1}), shape});
  ASSERT_TRUE(graph.value(lengths).content);
  EXPECT_EQ(to_string(*graph.value(lengths).content), "[batch,3]");
}

// What grouped attention does to find out how often keys repeat.
TEST(Comparison, OfShapesIsFollowed) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId shape =
      b.shape_of(graph.add_input("x", Type::tensor(DType::Float32, Shape{4, 2, Dim::symbol("n")})));
  ValueId two = b.ints({2});
  auto elements = [&](ValueId v) { return to_string(graph.value(v).content.value_or(Shape())); };
  ValueId equal = b.add("Equal", {shape, two}), differs = b.add("Not", {equal});
  ValueId even = b.add("Equal", {b.add("Mod", {shape, two}), b.ints({0})});
  EXPECT_EQ(elements(equal), "[0,1,?]");
  EXPECT_EQ(elements(differs), "[1,0,?]");
  EXPECT_EQ(elements(b.add("And", {differs, even})), "[1,0,?]");
  EXPECT_EQ(elements(b.add("Or", {differs, even})), "[1,1,?]");
  EXPECT_EQ(elements(b.add("Xor", {differs, even})), "[0,1,?]");
  EXPECT_EQ(elements(b.add("Greater", {shape, two})), "[1,0,?]");
  ValueId repeats = b.add("Where", {differs, b.add("Div", {shape, two}), shape});
  EXPECT_EQ(elements(repeats), "[2,2,?]");
}

TEST(Mod, FollowsKnownIntegers) {
  Graph graph(builtin_ops());
  GraphBuilder b(graph);
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{5, 3}));
  ValueId rest = b.add("Mod", {b.shape_of(x), b.ints({3})});
  ASSERT_TRUE(graph.value(rest).content);
  EXPECT_EQ(to_string(*graph.value(rest).content), "[2,0]");
}

TEST(Where, Gradients) {
  Tensor c = Tensor::of<bool>({2, 1}, {true, false});
  for (const auto& [x, y] : std::vector<std::pair<Dims, Dims>>{
           {{2, 3}, {2, 3}}, {{3}, {2, 1}}, {{}, {1, 3}}, {{2, 0}, {1}}}) {
    SCOPED_TRACE(to_string(x) + to_string(y));
    check_gradient({"Where", {c, random_tensor(x, 1), random_tensor(y, 2)}},
                   {.wrt = {1, 2}, .second_order = true});
  }
}

}  // namespace

}  // namespace onnxrun::testing
