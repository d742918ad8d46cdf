// Inputs left out that have to be there.
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

TEST(MissingInput, IsAnErrorInVariadicInputs) {
  Tensor b = Tensor::of<float>({3}, {1, 2, 3});
  for (const char* op : {"Max", "Min", "Sum", "Mean", "Concat", "SequenceConstruct"}) {
    Attributes attributes;
    if (std::string_view(op) == "Concat") attributes["axis"] = int64_t{0};
    expect_error({op, {Tensor(), b}, attributes}, "required input 0");
    expect_error({op, {b, Tensor(), b}, attributes}, "required input 1");
  }
}

TEST(MissingInput, IsAnErrorInOldOpsets) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  struct Row {
    const char* op;
    int opset;
    std::vector<Tensor> inputs;
  };
  const Row rows[] = {{"PRelu", 6, {x}}, {"PRelu", 6, {Tensor(), x}},
                      {"Add", 6, {x}},   {"Softmax", 11, {}},
                      {"Clip", 6, {}},   {"BatchNormalization", 6, {Tensor(), x, x, x, x}}};
  for (const Row& row : rows) {
    OpRun run{row.op, row.inputs};
    run.opset = row.opset;
    expect_error(run, "required input");
  }
}

}  // namespace

}  // namespace onnxrun::testing
