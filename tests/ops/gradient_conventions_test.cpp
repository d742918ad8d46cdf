// Holds the rules to docs/gradient-conventions.md; the values are PyTorch's.
#include <cmath>
#include <fstream>
#include <limits>
#include <set>

#include "support/files.h"
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

struct GradientConventionsRow {
  std::string op, point;  // as in the table
  OpRun run;
  std::vector<std::vector<double>> gradients;  // of each input
};

Tensor list(std::initializer_list<double> v) {
  return Tensor::of<double>({static_cast<int64_t>(v.size())}, v);
}
Tensor number(double v) { return Tensor::scalar(v); }

std::vector<GradientConventionsRow> kinks() {
  const double alpha = 0.25, gamma = 1.5;
  Attributes a = {{"alpha", 0.25f}};
  return {
      {"Abs", "x = 0", {"Abs", {list({0, -0.0})}}, {{0, 0}}},
      {"Relu", "x = 0", {"Relu", {list({0, -0.0})}}, {{0, 0}}},
      {"Relu", "x is NaN", {"Relu", {list({NAN})}}, {{1}}},
      {"LeakyRelu", "x = 0", {"LeakyRelu", {list({0})}, a}, {{alpha}}},
      {"PRelu", "x = 0", {"PRelu", {list({0}), list({0.25})}}, {{0.25}, {0}}},
      {"Elu", "x = 0", {"Elu", {list({0})}, a}, {{alpha}}},
      {"Selu",
       "x = 0",
       {"Selu", {list({0})}, {{"alpha", 0.25f}, {"gamma", 1.5f}}},
       {{alpha * gamma}}},
      {"Celu", "x = 0", {"Celu", {list({0})}, a}, {{1}}},
      {"ThresholdedRelu", "x = alpha", {"ThresholdedRelu", {list({0.25})}, a}, {{0}}},
      {"Shrink", "x = lambd or -lambd", {"Shrink", {list({0.5, -0.5})}}, {{0, 0}}},
      {"HardSigmoid", "the ends of the ramp", {"HardSigmoid", {list({2, -2})}, a}, {{0, 0}}},
      {"HardSwish", "x = -3", {"HardSwish", {list({-3})}}, {{0}}},
      {"HardSwish", "x = 3", {"HardSwish", {list({3})}}, {{1}}},
      {"Softsign", "x = 0", {"Softsign", {list({0})}}, {{1}}},
      {"Sqrt", "x = 0", {"Sqrt", {list({0})}}, {{inf}}},
  };
}

std::vector<GradientConventionsRow> bounds_and_ties() {
  return {
      {"Clip",
       "x = min or x = max",
       {"Clip", {list({-1, 1}), number(-1), number(1)}},
       {{1, 1}, {0}, {0}}},
      {"Clip",
       "x below min or above max",
       {"Clip", {list({-2, 2}), number(-1), number(1)}},
       {{0, 0}, {1}, {1}}},
      {"Clip",
       "min > max",
       {"Clip", {list({-2, 0, 2}), number(1), number(-1)}},
       {{0, 0, 0}, {0}, {3}}},
      {"Clip", "x is NaN", {"Clip", {list({NAN}), number(-1), number(1)}}, {{0}, {0}, {0}}},
      {"Max", "inputs tie", {"Max", {list({1, 1}), list({1, 2})}}, {{0.5, 0}, {0.5, 1}}},
      {"Max",
       "inputs tie",
       {"Max", {number(1), number(1), number(1)}},
       {{1 / 3.0}, {1 / 3.0}, {1 / 3.0}}},
      {"Min", "inputs tie", {"Min", {list({1, 1}), list({1, 2})}}, {{0.5, 1}, {0.5, 0}}},
      {"ReduceMax", "elements tie", {"ReduceMax", {list({1, 2, 2, 0})}}, {{0, 0.5, 0.5, 0}}},
      {"ReduceMin", "elements tie", {"ReduceMin", {list({1, 2, 2, 1})}}, {{0.5, 0, 0, 0.5}}},
      {"ReduceL1", "x = 0", {"ReduceL1", {list({0, -1})}}, {{0, -1}}},
      {"ReduceL2", "all x = 0", {"ReduceL2", {list({0, 0})}}, {{0, 0}}},
      {"ReduceProd", "one x = 0", {"ReduceProd", {list({0, 2, 3})}}, {{6, 0, 0}}},
      {"ReduceProd", "several x = 0", {"ReduceProd", {list({0, 0, 3})}}, {{0, 0, 0}}},
      {"Pow", "exponent = 0", {"Pow", {list({0, 2}), list({0, 0})}}, {{0, 0}, {0, std::log(2)}}},
      {"Pow", "base = 0, exponent >= 0", {"Pow", {list({0, 0}), list({0, 2})}}, {{0, 0}, {0, 0}}},
      {"MaxPool",
       "elements of a window tie",
       {"MaxPool",
        {Tensor::of<double>({1, 1, 2, 2}, {1, 2, 2, 2})},
        {{"kernel_shape", std::vector<int64_t>{2, 2}}}},
       {{0, 1, 0, 0}}},
      {"Mod", "a is a multiple of b", {"Mod", {list({6, -6}), list({3, 3})}}, {{1, 1}, {-2, 2}}},
      {"Mod",
       "a is a multiple of b",
       {"Mod", {list({6}), list({3})}, {{"fmod", int64_t{1}}}},
       {{1}, {-2}}},
  };
}

std::vector<GradientConventionsRow> gradient_conventions_rows() {
  std::vector<GradientConventionsRow> all = kinks();
  for (GradientConventionsRow& r : bounds_and_ties()) all.push_back(std::move(r));
  for (const char* op : {"Sign", "Floor", "Ceil", "Round", "Hardmax"}) {
    all.push_back(
        {"Sign, Floor, Ceil, Round, Hardmax", "everywhere", {op, {list({0.5, 1})}}, {{0, 0}}});
  }
  return all;
}

TEST(GradientConventions, AreKept) {
  for (const GradientConventionsRow& row : gradient_conventions_rows()) {
    SCOPED_TRACE(row.run.op + ", " + row.point);
    std::vector<Tensor> gradients = gradients_of(row.run);
    ASSERT_EQ(gradients.size(), row.gradients.size());
    for (size_t i = 0; i < gradients.size(); ++i) {
      Tensor expected =
          Tensor::of<double>(row.run.inputs[i].dims(), std::span<const double>(row.gradients[i]));
      expect_close(gradients[i], expected, 1e-15, 1e-15, "input " + std::to_string(i));
    }
  }
}

TEST(Gradients, OfUnknownShapes) {
  Tensor x = random_tensor({2, 3}, 1, 0.5, 2), axes = Tensor::of<int64_t>({1}, {-1});
  Tensor c = Tensor::of<bool>({3}, {true, false, true});
  Attributes prune = {{"keepdims", int64_t{0}}};
  std::vector<OpRun> runs = {{"Softmax", {x}},
                             {"LogSoftmax", {x}, {{"axis", int64_t{0}}}},
                             {"Where", {c, x, random_tensor({2, 1}, 2)}},
                             {"Pow", {x, random_tensor({3}, 2)}},
                             {"Max", {x, random_tensor({3}, 2), number(0.9)}},
                             {"Mean", {x, random_tensor({2, 1}, 2)}},
                             {"Clip", {x, number(0.8), Tensor::of<double>({1}, {1.2})}},
                             {"PRelu", {x, random_tensor({3}, 2)}},
                             {"SwiGLU", {x, random_tensor({2, 3}, 2)}}};
  for (const char* op :
       {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
        "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"}) {
    runs.push_back({op, {x}, prune});
    runs.push_back({op, {x, axes}, prune});
    runs.push_back({op, {x, axes}});
  }
  for (const OpRun& run : runs) {
    SCOPED_TRACE(run.op + " of " + std::to_string(run.inputs.size()));
    gradients_of(run);
  }
}

TEST(GradientConventions, TheTableAndTheTestHaveTheSameRows) {
  std::ifstream file(source_path("docs/gradient-conventions.md"));
  std::set<std::string> written, tested;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("| ", 0) != 0) continue;
    size_t first = line.find(" | "), second = line.find(" | ", first + 1);
    written.insert(line.substr(2, second - 2));
  }
  written.erase("operator | point");
  for (const GradientConventionsRow& row : gradient_conventions_rows())
    tested.insert(row.op + " | " + row.point);
  EXPECT_EQ(written, tested);
}

}  // namespace

}  // namespace onnxrun::testing
