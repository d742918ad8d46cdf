// Transpose, Expand, Tile, Slice, Concat, Split, Gather, NonZero, Constant, ConstantOfShape.
#include <algorithm>

#include "base/threads.h"
#include "builtin_ops.h"
#include "support/decomposition.h"
#include "support/lists.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Tensor numbered(Dims dims, DType dtype = DType::Float64) {
  Tensor t(DType::Float64, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) t.data<double>()[i] = static_cast<double>(i % 100);
  return convert(t, dtype);
}

const std::vector<DType> sizes = {DType::UInt8, DType::Float16, DType::Float32, DType::Int64};

// out[index] = in[map(index)] for every index of `dims`.
template <typename Map>
Tensor mapped(const Tensor& in, Dims dims, const Map& map) {
  Tensor wide = convert(in, DType::Float64), out(DType::Float64, dims);
  std::vector<int64_t> index(dims.size(), 0);
  for (int64_t i = 0; i < out.size(); ++i) {
    std::vector<int64_t> from = map(index);
    int64_t at = 0;
    for (size_t a = 0; a < from.size(); ++a) at = at * in.dims()[a] + from[a];
    out.data<double>()[i] = wide.data<double>()[at];
    for (size_t a = dims.size(); a-- > 0;) {
      if (++index[a] < dims[a]) break;
      index[a] = 0;
    }
  }
  return convert(out, in.dtype());
}

TEST(Transpose, PermutesAxes) {
  struct Case {
    Dims in;
    std::vector<int64_t> perm;
  };
  for (const Case& c : std::vector<Case>{{{2, 3}, {1, 0}},
                                         {{2, 3, 4}, {2, 0, 1}},
                                         {{2, 3, 4}, {0, 2, 1}},
                                         {{1, 5, 1, 3}, {3, 2, 1, 0}},
                                         {{0, 3}, {1, 0}},
                                         {{}, {}},
                                         {{70, 90, 11}, {1, 0, 2}},
                                         {{300, 257}, {1, 0}},
                                         {{7, 40, 50, 9}, {0, 3, 2, 1}}}) {
    SCOPED_TRACE(to_string(c.in) + " by " + to_string(c.perm));
    Dims out;
    for (int64_t p : c.perm) out.push_back(c.in[static_cast<size_t>(p)]);
    for (DType t : sizes) {
      Tensor in = numbered(c.in, t);
      Tensor expected = mapped(in, out, [&](const std::vector<int64_t>& index) {
        std::vector<int64_t> from(index.size());
        for (size_t a = 0; a < index.size(); ++a) from[static_cast<size_t>(c.perm[a])] = index[a];
        return from;
      });
      expect_close(run_op({"Transpose", {in}, {{"perm", c.perm}}})[0], expected);
    }
  }
  check_gradient(
      {"Transpose", {random_tensor({2, 3, 4}, 1)}, {{"perm", std::vector<int64_t>{2, 0, 1}}}},
      {.second_order = true});
  check_gradient({"Transpose", {random_tensor({2, 3}, 1)}});
  expect_error({"Transpose", {numbered({2, 3})}, {{"perm", std::vector<int64_t>{0, 0}}}},
               "perm [0,0] is no permutation");
}

TEST(Transpose, MovesTextAndPackedElements) {
  Tensor text = Tensor::of<std::string>({2, 2}, {"a", "b", "c", "d"});
  EXPECT_TRUE(identical(run_op({"Transpose", {text}})[0],
                        Tensor::of<std::string>({2, 2}, {"a", "c", "b", "d"})));
  for (DType t : {DType::Int4, DType::UInt2, DType::Float4E2M1}) {
    Tensor in = convert(Tensor::of<float>({3, 3}, {0, 1, 2, 1, 0, 1, 2, 1, 1}), t);
    Tensor out = convert(Tensor::of<float>({3, 3}, {0, 1, 2, 1, 0, 1, 2, 1, 1}), t);
    EXPECT_TRUE(identical(run_op({"Transpose", {in}})[0], out));
  }
}

TEST(Expand, Repeats) {
  Tensor x = Tensor::of<float>({2, 1}, {1, 2});
  expect_close(run_op({"Expand", {x, int_list({3})}})[0],
               Tensor::of<float>({2, 3}, {1, 1, 1, 2, 2, 2}));
  expect_close(run_op({"Expand", {x, int_list({2, 1, 2})}})[0],
               Tensor::of<float>({2, 2, 2}, {1, 1, 2, 2, 1, 1, 2, 2}));
  expect_close(run_op({"Expand", {x, int_list({0, 1, 1})}})[0], Tensor(DType::Float32, {0, 2, 1}));
  expect_error({"Expand", {x, int_list({3, 1})}}, "does not broadcast to [3,1]");
  expect_error({"Expand", {x, int_list({-1, 1})}}, "negative length");
  expect_error({"Expand", {numbered({3}), int_list({2})}}, "does not broadcast to [2]");
  for (const auto& [in, to] : std::vector<std::pair<Dims, std::vector<int64_t>>>{
           {{2, 1}, {2, 3}}, {{}, {2, 2}}, {{3}, {2, 3}}, {{1, 3}, {0, 3}}, {{2, 3}, {1}}}) {
    check_gradient({"Expand", {random_tensor(in, 1), int_list(to)}}, {.second_order = true});
  }
}

TEST(Tile, Repeats) {
  Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  expect_close(run_op({"Tile", {x, int_list({1, 2})}})[0],
               Tensor::of<float>({2, 4}, {1, 2, 1, 2, 3, 4, 3, 4}));
  expect_close(run_op({"Tile", {x, int_list({2, 1})}})[0],
               Tensor::of<float>({4, 2}, {1, 2, 3, 4, 1, 2, 3, 4}));
  expect_close(run_op({"Tile", {x, int_list({0, 1})}})[0], Tensor(DType::Float32, {0, 2}));
  expect_error({"Tile", {x, int_list({2})}}, "1 repeats are given");
  for (const auto& repeats : std::vector<std::vector<int64_t>>{{1, 2}, {3, 1}, {2, 3}, {0, 1}}) {
    check_gradient({"Tile", {random_tensor({2, 1}, 1), int_list(repeats)}}, {.second_order = true});
  }
}

TEST(Slice, Chooses) {
  constexpr int64_t low = INT64_MIN, high = INT64_MAX;
  struct Case {
    std::vector<int64_t> starts, ends, axes, steps;
    Dims out;
    std::vector<double> values;
  };
  const std::vector<Case> cases = {
      {{1}, {3}, {1}, {1}, {2, 2}, {1, 2, 5, 6}},
      {{0, 1}, {1, high}, {0, 1}, {1, 2}, {1, 2}, {1, 3}},
      {{-1}, {low}, {1}, {-1}, {2, 4}, {3, 2, 1, 0, 7, 6, 5, 4}},
      {{-1}, {-4}, {-1}, {-2}, {2, 2}, {3, 1, 7, 5}},
      {{3}, {1}, {1}, {1}, {2, 0}, {}},
      {{-100}, {100}, {0}, {high}, {1, 4}, {0, 1, 2, 3}},
      {{100}, {-100}, {1}, {low}, {2, 1}, {3, 7}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(to_string(c.starts) + to_string(c.ends) + to_string(c.axes) + to_string(c.steps));
    Tensor expected(DType::Float64, c.out);
    std::copy(c.values.begin(), c.values.end(), expected.data<double>());
    OpRun run{"Slice",
              {numbered({2, 4}), int_list(c.starts), int_list(c.ends), int_list(c.axes),
               int_list(c.steps)}};
    expect_close(run_op(run)[0], expected);
    run.inputs[0] = random_tensor({2, 4}, 3);
    check_gradient(run, {.second_order = true});
  }
  expect_error(
      {"Slice", {numbered({2}), int_list({0}), int_list({1}), int_list({0}), int_list({0})}},
      "step of axis 0 is 0");
  expect_error({"Slice", {numbered({2}), int_list({0, 0}), int_list({1, 1})}},
               "2 starts are given");
  expect_error({"Slice", {numbered({2}), Tensor::scalar<int64_t>(0), int_list({1})}},
               "expected a list");
}

// What is inferred for an axis of any length, with bounds as exporters write "to the end".
TEST(Slice, HugeBoundsOnASymbolicAxis) {
  constexpr int64_t lowest = INT64_MIN, highest = INT64_MAX;
  struct Case {
    int64_t start, end, step;
    std::string type;
  };
  const std::vector<Case> cases = {{0, highest, 1, "float[n]"},
                                   {lowest, highest, 1, "float[n]"},
                                   {lowest, highest, 2, "float[((n + 1)//2)]"},
                                   {2, lowest + 1, 1, "float[0]"},
                                   {0, lowest, 3, "float[0]"},
                                   {highest, highest, 1, "float[0]"},
                                   {-2, highest, 1, "float[2]"},
                                   {-1, lowest, -1, "float[n]"},
                                   {highest, lowest, -1, "float[n]"},
                                   {0, INT32_MAX, 1, "float[n]"},
                                   {-10, -3, highest, "float[1]"}};
  for (const Case& c : cases) {
    Graph graph(builtin_ops());
    ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{Dim::symbol("n")}));
    GraphBuilder b(graph);
    ValueId y =
        b.add("Slice", {x, b.ints({c.start}), b.ints({c.end}), b.ints({0}), b.ints({c.step})});
    EXPECT_EQ(b.type(y).to_string(), c.type) << c.start << ":" << c.end << ":" << c.step;
  }
}

TEST(Slice, OldOpsetsHaveAttributes) {
  OpRun run{"Slice",
            {numbered({2, 4})},
            {{"starts", std::vector<int64_t>{0, -2}}, {"ends", std::vector<int64_t>{1, 100}}}};
  run.opset = 9;
  expect_close(run_op(run)[0], Tensor::of<double>({1, 2}, {2, 3}));
}

TEST(Concat, Joins) {
  Tensor a = Tensor::of<float>({2, 1}, {1, 2}), b = Tensor::of<float>({2, 2}, {3, 4, 5, 6}),
         none(DType::Float32, {2, 0});
  for (int64_t axis : {1, -1}) {
    expect_close(run_op({"Concat", {a, none, b}, {{"axis", axis}}})[0],
                 Tensor::of<float>({2, 3}, {1, 3, 4, 2, 5, 6}));
  }
  Tensor text = Tensor::of<std::string>({1}, {"x"});
  EXPECT_TRUE(identical(run_op({"Concat", {text, text}, {{"axis", int64_t{0}}}})[0],
                        Tensor::of<std::string>({2}, {"x", "x"})));
  expect_error({"Concat", {a, b}, {{"axis", int64_t{0}}}}, "inputs do not fit along axis 0");
  check_gradient(
      {"Concat",
       {random_tensor({2, 1, 2}, 1), random_tensor({2, 3, 2}, 2), random_tensor({2, 0, 2}, 3)},
       {{"axis", int64_t{1}}}},
      {.second_order = true});
  check_gradient(
      {"Concat", {random_tensor({2, 2}, 1), random_tensor({2, 3}, 2)}, {{"axis", int64_t{-1}}}});
}

TEST(Split, Takes) {
  Tensor x = numbered({2, 5});
  auto parts = run_op({"Split", {x, int_list({1, 0, 4})}, {{"axis", int64_t{1}}}, 3});
  expect_close(parts[0], Tensor::of<double>({2, 1}, {0, 5}));
  expect_close(parts[2], Tensor::of<double>({2, 4}, {1, 2, 3, 4, 6, 7, 8, 9}));
  for (int64_t length : {1, 3, 4, 5, 6, 8, 9}) {
    Tensor row = random_tensor({length}, 1);
    std::vector<int64_t> lengths;
    for (const Tensor& t : run_op({"Split", {row}, {{"num_outputs", int64_t{4}}}, 4})) {
      lengths.push_back(t.size());
    }
    int64_t each = (length + 3) / 4;
    for (int64_t i = 0; i < 4; ++i) {
      EXPECT_EQ(lengths[static_cast<size_t>(i)], std::clamp(length - i * each, int64_t{0}, each));
    }
  }
  parts = run_op({"Split", {x}, {{"axis", int64_t{-1}}, {"num_outputs", int64_t{2}}}, 2});
  expect_close(parts[0], Tensor::of<double>({2, 3}, {0, 1, 2, 5, 6, 7}));
  expect_close(parts[1], Tensor::of<double>({2, 2}, {3, 4, 8, 9}));
  OpRun old{"Split", {x}, {{"axis", int64_t{1}}, {"split", std::vector<int64_t>{2, 3}}}, 2};
  old.opset = 2;
  expect_close(run_op(old)[1], Tensor::of<double>({2, 3}, {2, 3, 4, 7, 8, 9}));
  OpRun first{"Split", {x, Tensor::of<double>({2}, {2, 3})}, {{"axis", int64_t{1}}}, 2};
  first.opset = 1;
  expect_close(run_op(first)[1], Tensor::of<double>({2, 3}, {2, 3, 4, 7, 8, 9}));
  OpRun uneven{"Split", {x}, {{"axis", int64_t{-1}}}, 2};
  uneven.opset = 13;
  expect_error(uneven, "is not divisible into 2 equal parts");
  OpRun three{"Split", {x}, {{"num_outputs", int64_t{3}}}, 2};
  three.opset = 18;
  expect_error(three, "num_outputs is 3, but there are 2 outputs");
  three.inputs.push_back(int_list({1, 1}));
  expect_error(three, "both input 'split' and attribute 'num_outputs'");
  uneven.opset = 18;
  expect_error(uneven, "neither input 'split' nor");
  expect_error({"Split", {x, int_list({1, 2})}, {{"axis", int64_t{1}}}, 2},
               "lengths [1,2] do not add up to 5");
  check_gradient({"Split", {random_tensor({5, 2}, 1), int_list({2, 3})}, {}, 2},
                 {.second_order = true});
}

TEST(Gather, Takes) {
  Tensor x = numbered({3, 2});
  Tensor i = Tensor::of<int64_t>({2, 2}, {0, -1, 1, 1});
  expect_close(run_op({"Gather", {x, i}})[0],
               Tensor::of<double>({2, 2, 2}, {0, 1, 4, 5, 2, 3, 2, 3}));
  expect_close(run_op({"Gather", {x, Tensor::scalar<int32_t>(-1)}, {{"axis", int64_t{1}}}})[0],
               Tensor::of<double>({3}, {1, 3, 5}));
  expect_error({"Gather", {x, int_list({3})}}, "index 3 is not in [-3, 3)");
  expect_error({"Gather", {Tensor(DType::Float64, {0, 2}), int_list({0})}}, "index 0 is not in");
  for (int64_t axis : {0, 1, 2, -1}) {
    check_gradient({"Gather",
                    {random_tensor({3, 2, 4}, 1), Tensor::of<int64_t>({2, 2}, {0, -1, 1, 1})},
                    {{"axis", axis}}},
                   {.second_order = true});
  }
  check_gradient({"Gather", {random_tensor({3}, 1), Tensor::scalar<int64_t>(2)}});
  check_gradient({"Gather", {random_tensor({3, 2}, 1), Tensor(DType::Int64, {0})}});
}

TEST(PrivateGradients, EqualTheirDecompositions) {
  Tensor rows = Tensor::of<int64_t>({2, 2}, {0, -1, 1, 1});
  for (int64_t axis : {0, 1, -1}) {
    Dims dims = {3, 3, 3}, dy = dims;
    auto a = static_cast<size_t>(axis < 0 ? 2 : axis);
    dy[a] = 2;
    dy.insert(dy.begin() + static_cast<std::ptrdiff_t>(a), 2);
    expect_decomposes(
        {"onnxrun.GatherGrad", {random_tensor(dy, 1), rows, int_list(dims)}, {{"axis", axis}}});
  }
  expect_decomposes({"onnxrun.SliceGrad",
                     {random_tensor({2, 2}, 1), int_list({2, 5}), int_list({-1}), int_list({0}),
                      int_list({1}), int_list({-2})}});
}

// Sums come out the same for any number of threads, also where many rows are added to one.
TEST(GatherGrad, IsTheSameForAnyNumberOfThreads) {
  std::vector<int64_t> rows(3000);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i * i % 7);
  OpRun run{
      "onnxrun.GatherGrad",
      {convert(random_tensor({3000, 70}, 1), DType::Float32), int_list(rows), int_list({7, 70})}};
  Tensor one = run_once(run)[0];
  for (int threads : {2, 3, 8}) {
    ThreadScope scope(threads);
    EXPECT_TRUE(identical(run_once(run)[0], one)) << threads;
  }
}

TEST(NonZero, ListsIndices) {
  expect_close(run_op({"NonZero", {Tensor::of<float>({2, 2}, {1, 0, 0, -1})}})[0],
               Tensor::of<int64_t>({2, 2}, {0, 1, 0, 1}));
  expect_close(run_op({"NonZero", {Tensor::of<bool>({3}, {false, true, true})}})[0],
               Tensor::of<int64_t>({1, 2}, {1, 2}));
  expect_close(run_op({"NonZero", {Tensor::scalar(3.0f)}})[0], Tensor(DType::Int64, {0, 1}));
}

TEST(Constant, OfEveryKind) {
  struct Case {
    std::string name;
    AttributeValue value;
    Tensor expected;
  };
  for (const Case& c :
       std::vector<Case>{{"value", Tensor::of<float>({2}, {1, 2}), Tensor::of<float>({2}, {1, 2})},
                         {"value_float", 1.5f, Tensor::scalar(1.5f)},
                         {"value_floats", std::vector<float>{1, 2}, Tensor::of<float>({2}, {1, 2})},
                         {"value_int", int64_t{3}, Tensor::scalar<int64_t>(3)},
                         {"value_ints", std::vector<int64_t>{3, 4}, int_list({3, 4})},
                         {"value_string", std::string("a"), Tensor::scalar<std::string>("a")},
                         {"value_strings", std::vector<std::string>{"a", "b"},
                          Tensor::of<std::string>({2}, {"a", "b"})}}) {
    EXPECT_TRUE(identical(run_op({"Constant", {}, {{c.name, c.value}}})[0], c.expected)) << c.name;
  }
  expect_error({"Constant", {}}, "0 value attributes are given");
}

TEST(ConstantOfShape, Fills) {
  expect_close(run_op({"ConstantOfShape", {int_list({2, 1})}})[0],
               Tensor::of<float>({2, 1}, {0, 0}));
  expect_close(
      run_op({"ConstantOfShape", {int_list({})}, {{"value", Tensor::of<int64_t>({1}, {7})}}})[0],
      Tensor::scalar<int64_t>(7));
  Tensor two = convert(Tensor::of<float>({1}, {2}), DType::Int4);
  EXPECT_TRUE(identical(run_op({"ConstantOfShape", {int_list({3})}, {{"value", two}}})[0],
                        convert(Tensor::of<float>({3}, {2, 2, 2}), DType::Int4)));
  expect_error({"ConstantOfShape", {int_list({-1})}}, "negative length");
}

}  // namespace

}  // namespace onnxrun::testing
