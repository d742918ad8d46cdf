// Identity, Reshape, Flatten, Squeeze, Unsqueeze, Shape, Size.
#include "base/error.h"
#include "builtin_ops.h"
#include "support/lists.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Tensor numbered(Dims dims) {
  Tensor t(DType::Float64, std::move(dims));
  for (int64_t i = 0; i < t.size(); ++i) t.data<double>()[i] = static_cast<double>(i);
  return t;
}

TEST(Reshape, WorksOutLengths) {
  struct Case {
    Dims in;
    std::vector<int64_t> shape;
    bool allowzero;
    Dims out;
  };
  const std::vector<Case> cases = {
      {{2, 3}, {3, 2}, false, {3, 2}},          {{2, 3}, {-1}, false, {6}},
      {{2, 3, 4}, {0, -1}, false, {2, 12}},     {{0, 3, 4}, {0, -1}, false, {0, 12}},
      {{0, 3}, {3, 0}, true, {3, 0}},           {{1}, {}, false, {}},
      {{2, 3, 4}, {4, 0, -1}, false, {4, 3, 2}}};
  for (const Case& c : cases) {
    SCOPED_TRACE(to_string(c.in) + " to " + to_string(c.shape));
    Tensor in = numbered(c.in);
    Attributes attributes;
    if (c.allowzero) attributes["allowzero"] = int64_t{1};
    expect_close(run_op({"Reshape", {in, int_list(c.shape)}, attributes})[0], in.view(c.out));
  }
}

TEST(Reshape, RejectsWhatDoesNotFit) {
  expect_error({"Reshape", {numbered({2, 3}), int_list({4})}},
               "data 'in0' is double[2,3] does not fit shape [4]");
  expect_error({"Reshape", {numbered({2, 3}), int_list({-1, 4})}}, "does not fit shape [-1,4]");
  expect_error({"Reshape", {numbered({2, 3}), int_list({-1, -1})}}, "more than one -1");
  expect_error({"Reshape", {numbered({2, 3}), int_list({-2, 3})}}, "negative length");
  expect_error({"Reshape", {numbered({2}), int_list({2, 0})}}, "copies axis 1");
  expect_error({"Reshape", {numbered({0, 3}), int_list({0, -1})}, {{"allowzero", int64_t{1}}}},
               "a length 0 and a -1");
}

TEST(Reshape, OpsetOneHasTheShapeAsAttribute) {
  OpRun run{"Reshape", {numbered({2, 3})}, {{"shape", std::vector<int64_t>{3, -1}}}};
  run.opset = 1;
  expect_close(run_op(run)[0], numbered({2, 3}).view({3, 2}));
}

TEST(Squeeze, ChecksAxesThatOnlyTheRunKnows) {
  expect_error({"Squeeze", {numbered({3}), int_list({0})}}, "axis 0 has length 3");
  expect_error({"Squeeze", {numbered({3}), int_list({INT64_MIN})}}, "is not in [-1, 1)");
  expect_error({"Squeeze", {numbered({1, 3}), int_list({0, 0})}}, "name axis 0 twice");
  expect_error({"Squeeze", {numbered({1, 3}), int_list({5})}}, "axis 5 is not in [-2, 2)");
  expect_error({"Squeeze", {numbered({1}), int_list({0, 0})}}, "2 axes are given");
  expect_close(run_op({"Squeeze", {numbered({1, 1}), int_list({-1, 0})}})[0], numbered({}));
}

TEST(Tensor, AViewHasAsManyElements) {
  EXPECT_EQ(numbered({2, 3}).view({3, 2}).dims(), (Dims{3, 2}));
  EXPECT_THROW(numbered({2, 3}).view({2, 2}), Error);
}

// A graph whose input has symbolic lengths, for what is inferred from them.
std::string inferred(const std::string& op, const Shape& in, std::vector<int64_t> list) {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, in));
  GraphBuilder b(graph);
  return b.type(b.add(op, {x, b.ints(std::move(list))})).to_string();
}

TEST(Reshape, LengthsMayBeSymbolic) {
  Dim batch = Dim::symbol("batch"), seq = Dim::symbol("seq");
  EXPECT_EQ(inferred("Reshape", {batch, 3, 4}, {0, -1}), "float[batch,12]");
  EXPECT_EQ(inferred("Reshape", {batch, seq, 12}, {-1, 12}), "float[batch*seq,12]");
  EXPECT_EQ(inferred("Reshape", {batch, seq, 12}, {0, 0, 3, 4}), "float[batch,seq,3,4]");
  EXPECT_EQ(inferred("Unsqueeze", {batch}, {0, 2}), "float[1,batch,1]");
  EXPECT_EQ(inferred("Squeeze", {1, batch}, {0}), "float[batch]");
}

// Shape -> Slice -> Concat -> Reshape, as exporters write it.
TEST(Shape, ItsElementsAreFollowed) {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{Dim::symbol("n"), 3, 4}));
  GraphBuilder b(graph);
  ValueId first = b.add("Gather", {b.shape_of(x), b.int_scalar(0)});
  ValueId shape = b.add("Concat", {b.unsqueeze(first, {0}), b.ints({-1})}, {{"axis", int64_t{0}}});
  EXPECT_EQ(b.type(b.add("Reshape", {x, shape})).to_string(), "float[n,12]");
  ValueId behind = b.slice(b.shape_of(x), 0, 1, INT64_MAX);
  EXPECT_EQ(b.type(b.add("Expand", {b.scalar(0, DType::Float32), behind})).to_string(),
            "float[3,4]");
  EXPECT_EQ(graph.value(b.add("Size", {x})).content->at(0).to_string(), "12*n");
}

TEST(Shape, StartAndEndAreClamped) {
  struct Case {
    int64_t start;
    std::optional<int64_t> end;
    std::vector<int64_t> expected;
  };
  for (const Case& c : std::vector<Case>{{0, {}, {2, 3, 4}},
                                         {1, {}, {3, 4}},
                                         {-1, {}, {4}},
                                         {0, -1, {2, 3}},
                                         {2, 1, {}},
                                         {-9, 9, {2, 3, 4}}}) {
    Attributes attributes = {{"start", c.start}};
    if (c.end) attributes["end"] = *c.end;
    expect_close(run_op({"Shape", {numbered({2, 3, 4})}, attributes})[0], int_list(c.expected));
  }
  expect_close(run_op({"Size", {numbered({2, 3, 4})}})[0], Tensor::scalar<int64_t>(24));
}

TEST(Views, ChangeTheShapeOnly) {
  Tensor x = numbered({2, 1, 3, 1});
  struct Case {
    std::string op;
    std::vector<int64_t> axes;
    Dims out;
  };
  for (const Case& c : std::vector<Case>{{"Squeeze", {1}, {2, 3, 1}},
                                         {"Squeeze", {-1, 1}, {2, 3}},
                                         {"Unsqueeze", {0, -1}, {1, 2, 1, 3, 1, 1}},
                                         {"Unsqueeze", {3, 1}, {2, 1, 1, 1, 3, 1}}}) {
    expect_close(run_op({c.op, {x, int_list(c.axes)}})[0], x.view(c.out), 0, 0, c.op);
    OpRun old{c.op, {x}, {{"axes", c.axes}}};
    old.opset = 11;
    expect_close(run_op(old)[0], x.view(c.out), 0, 0, c.op);
    check_gradient({c.op, {random_tensor({2, 1, 3, 1}, 1), int_list(c.axes)}});
  }
  expect_close(run_op({"Squeeze", {x}})[0], x.view({2, 3}));
  for (const auto& [axis, out] : std::vector<std::pair<int64_t, Dims>>{
           {0, {1, 6}}, {1, {2, 3}}, {-1, {6, 1}}, {4, {6, 1}}, {3, {6, 1}}}) {
    expect_close(run_op({"Flatten", {x}, {{"axis", axis}}})[0], x.view(out));
  }
  expect_close(run_op({"Identity", {x}})[0], x);
  check_gradient({"Flatten", {random_tensor({2, 3, 4}, 1)}}, {.second_order = true});
  check_gradient(
      {"Reshape", {random_tensor({2, 0, 4}, 1), int_list({4, 0})}, {{"allowzero", int64_t{1}}}});
  check_gradient({"Identity", {random_tensor({}, 1)}});
}

TEST(Views, RejectBadAxes) {
  expect_error({"Squeeze", {numbered({2, 1}), int_list({0})}}, "axis 0 has length 2");
  expect_error({"Squeeze", {numbered({2, 1}), int_list({2})}}, "axis 2 is not in [-2, 2)");
  expect_error({"Unsqueeze", {numbered({2}), int_list({0, -3})}}, "name axis 0 twice");
  expect_error({"Flatten", {numbered({2})}, {{"axis", int64_t{2}}}}, "axis 2 is not in");
}

TEST(Views, MoveTextAndPackedElements) {
  Tensor text = Tensor::of<std::string>({2}, {"a", "b"});
  EXPECT_TRUE(identical(run_op({"Reshape", {text, int_list({2, 1})}})[0], text.view({2, 1})));
  Tensor packed = convert(numbered({3, 5}), DType::UInt4);
  EXPECT_TRUE(
      identical(run_op({"Flatten", {packed}, {{"axis", int64_t{0}}}})[0], packed.view({1, 15})));
}

}  // namespace

}  // namespace onnxrun::testing
