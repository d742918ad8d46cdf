#include "support/lists.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

Tensor floats(Dims dims, std::vector<float> values) {
  return Tensor::of<float>(std::move(dims), values);
}

OpRun pad(Tensor x, std::vector<int64_t> pads, const std::string& mode = "constant",
          Tensor value = {}, Tensor axes = {}) {
  return {
      "Pad", {std::move(x), int_list(pads), std::move(value), std::move(axes)}, {{"mode", mode}}};
}

TEST(Pad, EveryMode) {
  struct Case {
    std::string mode;
    std::vector<int64_t> pads;
    std::vector<float> expected;
  };
  const std::vector<Case> cases = {{"constant", {2, 1}, {0, 0, 1, 2, 3, 0}},
                                   {"constant", {-1, 2}, {2, 3, 0, 0}},
                                   {"constant", {-5, 4}, {0, 0}},
                                   {"constant", {-2, -1}, {}},
                                   {"reflect", {2, 1}, {3, 2, 1, 2, 3, 2}},
                                   {"reflect", {5, 5}, {2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2}},
                                   {"edge", {2, 1}, {1, 1, 1, 2, 3, 3}},
                                   {"wrap", {4, 2}, {3, 1, 2, 3, 1, 2, 3, 1, 2}},
                                   {"wrap", {3, -1}, {2, 1, 2, 1, 2}},
                                   {"wrap", {-1, 2}, {2, 3, 2, 3}},
                                   {"reflect", {-1, 2}, {2, 3, 2, 1}}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.mode + to_string(c.pads));
    auto n = static_cast<int64_t>(c.expected.size());
    expect_close(run_op(pad(floats({3}, {1, 2, 3}), c.pads, c.mode))[0], floats({n}, c.expected));
    check_gradient(pad(random_tensor({3}, 1), c.pads, c.mode), {.second_order = true});
  }
}

TEST(Pad, SeveralAxes) {
  Tensor x = floats({2, 2}, {1, 2, 3, 4});
  expect_close(run_op(pad(x, {1, 0, 0, 1}, "constant", Tensor::scalar(9.0f)))[0],
               floats({3, 3}, {9, 9, 9, 1, 2, 9, 3, 4, 9}));
  expect_close(run_op(pad(x, {1, 0}, "edge", {}, int_list({-1})))[0],
               floats({2, 3}, {1, 1, 2, 3, 3, 4}));
  expect_close(run_op(pad(x, {1, 1, 0, 0}, "reflect"))[0],
               floats({3, 3}, {4, 3, 4, 2, 1, 2, 4, 3, 4}));
  check_gradient(pad(random_tensor({2, 3}, 1), {1, -1, 0, 2}, "constant", Tensor::scalar(0.5)),
                 {.second_order = true});
  check_gradient(pad(random_tensor({2, 3}, 1), {1, 1, 0, 2}, "reflect"), {.second_order = true});
}

TEST(Pad, MovesTextAndPackedElements) {
  Tensor text = Tensor::of<std::string>({1}, {"a"}), dot = Tensor::scalar<std::string>(".");
  EXPECT_TRUE(identical(run_op(pad(text, {1, 1}, "constant", dot))[0],
                        Tensor::of<std::string>({3}, {".", "a", "."})));
  Tensor x = convert(floats({3}, {1, 2, 3}), DType::Int4),
         one = convert(Tensor::scalar(-1.0f), DType::Int4);
  EXPECT_TRUE(identical(run_op(pad(x, {1, 1}, "constant", one))[0],
                        convert(floats({5}, {-1, 1, 2, 3, -1}), DType::Int4)));
}

TEST(Pad, OldOpsetsHaveAttributes) {
  OpRun run{"Pad", {floats({2}, {1, 2})}, {{"pads", std::vector<int64_t>{1, 0}}, {"value", 3.0f}}};
  run.opset = 2;
  expect_close(run_op(run)[0], floats({3}, {3, 1, 2}));
  run.attributes = {{"paddings", std::vector<int64_t>{1, 0}}};
  run.opset = 1;
  expect_close(run_op(run)[0], floats({3}, {0, 1, 2}));
}

TEST(Pad, Rejects) {
  expect_error(pad(floats({2}, {1, 2}), {1}), "1 pads are given for 1 axes");
  expect_error(pad(floats({2}, {1, 2}), {-3, 0}), "leave nothing");
  expect_error(pad(floats({2}, {1, 2}), {1, 1}, "mirror"), "mode is 'mirror'");
  expect_error(pad(floats({0}, {}), {1, 1}, "edge"), "nothing to fill");
  expect_error(pad(floats({2}, {1, 2}), {-2, 1}, "wrap"), "nothing to repeat");
}

TEST(DepthToSpace, AndBack) {
  Tensor x = random_tensor({2, 8, 3, 1}, 1);
  for (const char* mode : {"DCR", "CRD"}) {
    check_gradient({"DepthToSpace", {x}, {{"blocksize", int64_t{2}}, {"mode", std::string(mode)}}},
                   {.second_order = true});
  }
  Tensor y = run_op({"DepthToSpace", {x}, {{"blocksize", int64_t{2}}}})[0];
  EXPECT_EQ(y.type_text(), "double[2,2,6,2]");
  EXPECT_TRUE(identical(run_op({"SpaceToDepth", {y}, {{"blocksize", int64_t{2}}}})[0], x));
  for (const char* mode : {"DCR", "CRD"}) {
    Attributes attributes = {{"blocksize", int64_t{2}}, {"mode", std::string(mode)}};
    Tensor blocks = run_op({"SpaceToDepth", {y}, attributes})[0];
    EXPECT_TRUE(identical(run_op({"DepthToSpace", {blocks}, attributes})[0], y)) << mode;
    check_gradient({"SpaceToDepth", {y}, attributes});
  }
  expect_error({"DepthToSpace", {random_tensor({1, 3, 1, 1}, 1)}, {{"blocksize", int64_t{2}}}},
               "blocksize 2 does not divide");
}

}  // namespace

}  // namespace onnxrun::testing
