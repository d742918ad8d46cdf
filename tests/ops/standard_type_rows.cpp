// Nodes of the standard's operators for types_test.cpp.
#include "ops/type_rows.h"

namespace onnxrun::testing {

namespace {

const Dims m = {2, 3};
using Ints = std::vector<int64_t>;

Attributes axis(int64_t i) { return {{"axis", i}}; }

std::vector<Row> elementwise() {
  std::vector<Row> rows;
  for (const char* op : {"Abs",
                         "Acosh",
                         "Asinh",
                         "Atan",
                         "Ceil",
                         "Celu",
                         "Cos",
                         "Cosh",
                         "Elu",
                         "Erf",
                         "Exp",
                         "Floor",
                         "Gelu",
                         "HardSigmoid",
                         "HardSwish",
                         "IsInf",
                         "IsNaN",
                         "LeakyRelu",
                         "Log",
                         "Mish",
                         "Neg",
                         "Reciprocal",
                         "Relu",
                         "Round",
                         "Selu",
                         "Shrink",
                         "Sigmoid",
                         "Sign",
                         "Sin",
                         "Sinh",
                         "Softplus",
                         "Softsign",
                         "Sqrt",
                         "Swish",
                         "Tan",
                         "Tanh",
                         "ThresholdedRelu",
                         "Not"}) {
    rows.push_back({op, {{m}}});
  }
  for (const char* op : {"Acos", "Asin", "Atanh"}) rows.push_back({op, {{m, {-0.5, 0.25, 0.5}}}});
  rows.push_back({.op = "BitwiseNot", .inputs = {{m}}, .compared = false});
  for (const char* op : {"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Sum",
                         "Mean", "Add", "Mul", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "SwiGLU"}) {
    rows.push_back({op, {{m}, {m}}});
  }
  for (const char* op : {"And", "Or", "Xor", "Equal"}) {
    rows.push_back({op, {{m, {0, 1, 0}}, {m, {0, 0, 1, 1}}}});
  }
  rows.push_back({"Sub", {{m, {4, 5, 6}}, {m, {1, 2, 3}}}});
  rows.push_back({"Div", {{m, {4, 6, 8}}, {m, {2, 2, 4}}}});
  rows.push_back({"Mod", {{m, {5, 7, 8}}, {m, {3, 4, 5}}}});
  rows.push_back({"Mod", {{m, {5, 7, 8}}, {m, {3, 4, 5}}}, {{"fmod", int64_t{1}}}});
  rows.push_back({"Pow", {{m}, {m, {1, 2, 2}}}});
  rows.push_back({"PRelu", {{m}, {{3}}}});
  rows.push_back({"BitShift", {{m}, {m, {1, 2}}}, {{"direction", std::string("LEFT")}}});
  rows.push_back({"Clip", {{m}, {{}, {2}}, {{}, {3}}}});
  rows.push_back({"Clip", {{m}, {}, {{}, {3}}}});
  rows.push_back({"Where", {{m, {0, 1}}, {m}, {m}}});
  rows.push_back({.op = "CastLike", .inputs = {{m, {1}}, {{}, {1}}}, .compared = false});
  rows.push_back({"Dropout", {{m}, {{}, {1}}}});
  rows.push_back({"Identity", {{m}}});
  return rows;
}

std::vector<Row> reductions() {
  std::vector<Row> rows;
  for (const char* op : {"ReduceL1", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "ReduceSum",
                         "ReduceSumSquare"}) {
    rows.push_back({op, {{m}, {{1}, {1}}}});
  }
  rows.push_back({"ReduceMean", {{m, {1, 2, 3}}, {{1}, {1}}}});
  rows.push_back({"ReduceL2", {{m, {2, 3, 6}}, {{1}, {1}}}});
  for (const char* op : {"ReduceMax", "ReduceMin"}) {
    rows.push_back({op, {{m, {0, 1}}, {{1}, {1}}}});
  }
  for (const char* op : {"ArgMax", "ArgMin", "Hardmax", "LogSoftmax", "Softmax"}) {
    rows.push_back({op, {{m}}});
  }
  rows.push_back({"CumSum", {{m}, {{}, {1}}}});
  rows.push_back({"NonZero", {{m, {0, 1, 1}}}});
  rows.push_back({"Shape", {{m}}});
  rows.push_back({"Size", {{m}}});
  return rows;
}

std::vector<Row> movement() {
  return {
      {"Concat", {{m}, {m}}, axis(0)},
      {"DepthToSpace", {{{1, 4, 1, 2}}}, {{"blocksize", int64_t{2}}}},
      {"Expand", {{{1, 3}}, {{2}, {2, 3}}}},
      {"Flatten", {{{2, 1, 3}}}},
      {"Gather", {{{3, 2}}, {{2}, {2, 0}}}},
      {"GatherElements", {{m}, {{2, 1}, {2, 0}}}, axis(1)},
      {"GatherND", {{m}, {{1, 2}, {1, 0}}}},
      {"OneHot", {{{2}, {0, 2}}, {{}, {3}}, {{2}, {1, 2}}}},
      {"Pad", {{m}, {{4}, {0, 1, 1, 0}}, {{}, {3}}, {{2}, {0, 1}}}},
      {"Reshape", {{m}, {{2}, {3, 2}}}},
      {"ReverseSequence", {{m}, {{3}, {2, 1, 0}}}},
      {"Scatter", {{m}, {{2, 1}, {2, 0}}, {{2, 1}}}, axis(1)},
      {"ScatterElements", {{m}, {{2, 1}, {2, 0}}, {{2, 1}}}, axis(1)},
      {"ScatterND", {{m}, {{1, 2}, {1, 0}}, {{1}}}},
      {"Slice", {{m}, {{1}, {2}}, {{1}, {0}}, {{1}, {1}}, {{1}, {-1}}}},
      {"SpaceToDepth", {{{1, 1, 2, 4}}}, {{"blocksize", int64_t{2}}}},
      {"Split", {{m}, {{2}, {1, 2}}}, axis(1), 2},
      {"Squeeze", {{{1, 3}}, {{1}, {0}}}},
      {"Tile", {{m}, {{2}, {2, 1}}}},
      {"Transpose", {{m}}},
      {"Trilu", {{{3, 3}}, {{}, {0}}}},
      {"Unsqueeze", {{m}, {{1}, {1}}}},
  };
}

std::vector<Row> layers() {
  Attributes pair = {{"kernel_shape", Ints{2}}};
  auto recurrent = [](const char* op, int64_t gates) {
    return Row{op,
               {{{2, 1, 2}, {0.5, -0.25}},
                {{1, 2 * gates, 2}, {0.5, -0.5, 0.25}},
                {{1, 2 * gates, 2}, {-0.5, 0.25}},
                {{1, 4 * gates}, {0.125}},
                {{1}, {2}},
                {{1, 1, 2}, {0.5}}},
               {{"hidden_size", int64_t{2}}},
               2};
  };
  Row lstm = recurrent("LSTM", 4);
  lstm.inputs.push_back({{1, 1, 2}, {0.25}});
  lstm.inputs.push_back({{1, 6}, {0.5}});
  lstm.outputs = 3;
  return {
      {"AveragePool", {{{1, 1, 4}}}, pair},
      {"BatchNormalization", {{{2, 2}}, {{2}}, {{2}}, {{2}}, {{2}}}},
      {"Conv", {{{1, 1, 4}}, {{2, 1, 2}}, {{2}}}},
      {"ConvTranspose", {{{1, 1, 4}}, {{1, 2, 2}}, {{2}}}},
      {"Gemm", {{m}, {{3, 2}}, {{2}}}},
      {"GlobalAveragePool", {{{1, 2, 4}}}},
      {"GlobalMaxPool", {{{1, 2, 4}}}},
      {"GroupNormalization", {{{1, 2, 2}}, {{2}}, {{2}}}, {{"num_groups", int64_t{1}}}},
      {"InstanceNormalization", {{{1, 2, 3}}, {{2}}, {{2}}}},
      {"LayerNormalization", {{m}, {{3}}, {{3}}}},
      {"LpPool", {{{1, 1, 4}}}, pair},
      {"MatMul", {{m}, {{3, 2}}}},
      {"MaxPool", {{{1, 1, 4}}}, pair, 2},
      {"NegativeLogLikelihoodLoss", {{m}, {{2}, {0, 2}}, {{3}}}},
      {"RMSNormalization", {{m}, {{3}}}},
      {"Range", {{{}, {1}}, {{}, {7}}, {{}, {2}}}},
      {"SoftmaxCrossEntropyLoss", {{m}, {{2}, {0, 2}}, {{3}}}, {}, 2},
      recurrent("RNN", 1),
      recurrent("GRU", 3),
      lstm,
      {"ai.onnx.preview.training.Adagrad", {{{}, {0.5}}, {{}, {0}}, {m}, {m}, {m}}, {}, 2},
      {"ai.onnx.preview.training.Adam", {{{}, {0.5}}, {{}, {0}}, {m}, {m}, {m}, {m}}, {}, 3},
      {"ai.onnx.preview.training.Momentum",
       {{{}, {0.5}}, {{}, {0}}, {m}, {m}, {m}},
       {{"alpha", 0.5f},
        {"beta", 0.5f},
        {"mode", std::string("standard")},
        {"norm_coefficient", 0.0f}},
       2},
  };
}

std::vector<Row> selection() {
  Attributes resize = {{"mode", std::string("nearest")}};
  return {
      {"Resize", {{m}, {}, {{2}, {2, 1}}}, resize},
      {"Resize", {{m}, {{4}, {0, 0, 1, 1}}, {}, {{2}, {2, 6}}}, resize},
      {"Upsample", {{m}, {{2}, {2, 1}}}},
      {"TopK", {{m, {1, 0}}, {{1}, {2}}}, {}, 2},
      {"Einsum", {{m}, {{3, 2}}}, {{"equation", std::string("ij,jk->ik")}}},
      {"EyeLike", {{m}}, {{"dtype", int64_t{11}}}},
      {"Compress", {{m}, {{2}, {1, 0}}}, axis(0)},
      {.op = "Unique", .inputs = {{m, {1, 0, 1}}}, .outputs = 4, .compared = false},
      {"CumProd", {{m, {1, 2, 1}}, {{}, {1}}}},
      {"LRN", {{{1, 3, 2}}}, {{"size", int64_t{3}}}},
      {"LpNormalization", {{m, {2, 3, 6}}}},
      {"MeanVarianceNormalization", {{{2, 2, 1, 2}}}},
      {"GlobalLpPool", {{{1, 2, 2}, {3, 4}}}},
      {"CenterCropPad", {{m}, {{2}, {3, 1}}}},
      {.op = "Col2Im",
       .inputs = {{{1, 4, 4}, {0, 1, 0, 0, 1}}, {{2}, {3, 3}}, {{2}, {2, 2}}},
       .compared = false},
      {"TensorScatter", {{{1, 3, 2}}, {{1, 2, 2}}, {{1}, {1}}}},
      {"NonMaxSuppression", {{{1, 1, 4}}, {{1, 1, 1}}, {{1}, {1}}}},
      {"RandomNormal", {}, {{"shape", Ints{2}}, {"seed", 1.0f}}},
      {"RandomUniform", {}, {{"shape", Ints{2}}, {"seed", 1.0f}}},
      {.op = "RandomNormalLike",
       .inputs = {{m}},
       .attributes = {{"seed", 1.0f}, {"dtype", int64_t{11}}},
       .compared = false},
      {.op = "RandomUniformLike",
       .inputs = {{m}},
       .attributes = {{"seed", 1.0f}, {"dtype", int64_t{11}}},
       .compared = false},
      {"Bernoulli", {{m, {0, 1}}}, {{"seed", 1.0f}, {"dtype", int64_t{11}}}},
      {"Multinomial", {{{1, 2}, {1, 2}}}, {{"seed", 1.0f}, {"dtype", int64_t{7}}}},
  };
}

std::vector<Row> attention() {
  Attributes heads = {{"q_num_heads", int64_t{2}}, {"kv_num_heads", int64_t{1}}};
  Attributes gated = heads;
  gated["update_rule"] = std::string("gated_delta");
  return {
      {.op = "Attention",
       .inputs = {{{1, 2, 2}, {1, 0.5, 2}}, {{1, 2, 1}}, {{1, 2, 1}}, {{2, 2}, {0, 1}}},
       .attributes = heads,
       .compared = false},
      {"RotaryEmbedding",
       {{{1, 1, 2, 2}}, {{3, 1}, {0.5, 0.25}}, {{3, 1}, {0.5}}, {{1, 2}, {2, 1}}}},
      {"LinearAttention",
       {{{1, 2, 2}, {0.5}},
        {{1, 2, 1}, {0.5, 0.25}},
        {{1, 2, 1}, {1, 0.5}},
        {{1, 1, 1, 1}, {0.5}},
        {{1, 2, 1}, {-0.5}},
        {{1, 2, 1}, {0.5}}},
       gated,
       2},
      {"CausalConvWithState", {{{1, 2, 3}}, {{2, 1, 2}}, {{2}}, {{1, 2, 1}}}, {}, 2},
  };
}

std::vector<Row> quantization() {
  auto uncompared = [](const char* op, std::vector<In> inputs, Attributes a = {},
                       size_t outputs = 1) {
    return Row{op, std::move(inputs), std::move(a), outputs, false};
  };
  return {
      uncompared("QuantizeLinear", {{m}, {{}, {1}}, {{}, {0}}}),
      {"DequantizeLinear", {{m, {0, 1}}, {{}, {1}}, {{}, {0}}}, {{"output_dtype", int64_t{11}}}},
      {"DynamicQuantizeLinear", {{m}}, {}, 3},
      {"MatMulInteger", {{m}, {{3, 2}}, {{}, {1}}, {{}, {1}}}},
      {"ConvInteger", {{{1, 1, 4}}, {{2, 1, 2}}, {{}, {1}}, {{}, {1}}}},
      uncompared("QLinearMatMul",
                 {{m}, {{}, {1}}, {{}, {0}}, {{3, 2}}, {{}, {1}}, {{}, {0}}, {{}, {1}}, {{}, {0}}}),
      {"QLinearConv",
       {{{1, 1, 4}},
        {{}, {1}},
        {{}, {1}},
        {{2, 1, 2}},
        {{}, {1}},
        {{}, {1}},
        {{}, {1}},
        {{}, {1}},
        {{2}}}},
      {"AffineGrid", {{{1, 2, 3}, {0.5, 1}}, {{4}, {1, 1, 2, 2}}}},
      {"MaxUnpool", {{{1, 1, 2}}, {{1, 1, 2}, {0, 2}}}, {{"kernel_shape", Ints{3}}}},
      {"BlackmanWindow", {{{}, {5}}}, {{"output_datatype", int64_t{11}}}},
      {"HannWindow", {{{}, {5}}}, {{"output_datatype", int64_t{11}}}},
      {"HammingWindow", {{{}, {5}}}, {{"output_datatype", int64_t{11}}}},
      {"MelWeightMatrix",
       {{{}, {2}}, {{}, {8}}, {{}, {8}}, {{}, {0}}, {{}, {4}}},
       {{"output_datatype", int64_t{11}}}},
  };
}

std::vector<Row> sampling() {
  Attributes nearest = {{"mode", std::string("nearest")}, {"padding_mode", std::string("border")}};
  return {
      {"GridSample", {{{1, 2, 2, 2}}, {{1, 1, 2, 2}, {0.5, -0.25}}}, nearest},
      {"DeformConv",
       {{{1, 1, 3}}, {{1, 1, 2}, {0.5}}, {{1, 2, 2}, {0.5, -0.25}}, {{1}}, {{1, 2, 2}, {0.5, 1}}}},
      {"RoiAlign", {{{1, 1, 3, 3}}, {{1, 4}, {0, 0, 2, 3}}, {{1}, {0}}}},
      {"MaxRoiPool", {{{1, 1, 3, 3}}, {{1, 5}, {0, 0, 0, 2, 1}}}, {{"pooled_shape", Ints{2, 1}}}},
      {"DFT", {{{1, 4, 1}}, {{}, {2}}, {{}, {1}}}},
      {"STFT", {{{1, 4, 1}}, {{}, {2}}, {{2}, {0.5, 1}}, {{}, {2}}}},
      {"Det", {{{2, 2}, {1, 2, 3, 1}}}},
      {"ImageDecoder", {{{3}}}},
      {"StringConcat", {{m}, {m}}},
      {"StringNormalizer", {{{3}}}},
      {"StringSplit", {{m}}, {}, 2},
      {"RegexFullMatch", {{m}}, {{"pattern", std::string("[12]")}}},
  };
}

}  // namespace

std::vector<Row> standard_rows() {
  std::vector<Row> all = elementwise();
  for (auto more :
       {reductions(), movement(), layers(), selection(), attention(), quantization(), sampling()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace onnxrun::testing
