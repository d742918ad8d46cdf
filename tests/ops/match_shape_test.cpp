// onnxrun.MatchShape.
#include "support/decomposition.h"

namespace onnxrun::testing {

namespace {

TEST(MatchShape, TakesAxesOfLength1AsNoDifference) {
  struct Case {
    Dims target, output, expected;
    std::optional<int64_t> axis = {};
  };
  for (const Case& c : std::vector<Case>{{{4}, {4, 1}, {4, 1}},
                                         {{4, 1}, {4}, {4}},
                                         {{1}, {1, 1}, {1, 1}},
                                         {{}, {1}, {1}},
                                         {{2, 3}, {2, 1, 3}, {2, 1, 3}},
                                         {{2, 3}, {2, 3}, {2, 3}},
                                         {{0}, {0, 1}, {0, 1}},
                                         {{4, 1}, {4, 3}, {4}, 1},
                                         {{4}, {4, 3, 1}, {4, 1}, 1},
                                         {{4, 1, 5}, {4, 5, 3}, {4, 5}, -1},
                                         {{}, {1, 3}, {1}, 1}}) {
    SCOPED_TRACE(to_string(c.target) + " and " + to_string(c.output));
    OpRun run{"onnxrun.MatchShape", {random_tensor(c.target, 1), random_tensor(c.output, 2)}};
    if (c.axis) run.attributes["axis"] = *c.axis;
    EXPECT_EQ(run_op(run)[0].dims(), c.expected);
    expect_decomposes(run);
    check_gradient(run, {.second_order = true});
  }
}

TEST(MatchShape, RejectsOtherShapes) {
  auto run = [](const Dims& target, const Dims& output, Attributes attributes = {}) {
    return OpRun{"onnxrun.MatchShape",
                 {random_tensor(target, 1), random_tensor(output, 2)},
                 std::move(attributes)};
  };
  for (const auto& [target, output] : std::vector<std::pair<Dims, Dims>>{
           {{4}, {3, 1}}, {{3}, {4, 3}}, {{}, {4}}, {{3, 2}, {2, 3}}, {{1, 4}, {4, 4}}}) {
    expect_error(run(target, output), "differ by more than axes of length 1");
  }
  expect_error(run({4, 3}, {4, 3}, {{"axis", int64_t{1}}}), "whose axis 1 counts the classes");
}

}  // namespace

}  // namespace onnxrun::testing
