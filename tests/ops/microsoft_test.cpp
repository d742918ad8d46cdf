// Operators of domain com.microsoft. The numbers are ONNX Runtime's.
#include <cmath>

#include "ops/type_rows.h"
#include "support/decomposition.h"
#include "support/op_tester.h"
#include "tensor/tensor.h"

namespace onnxrun::testing {

namespace {

using Ints = std::vector<int64_t>;

struct MicrosoftCase {
  OpRun run;
  Tensor expected;
};

std::vector<MicrosoftCase> differentiable() {
  return {
      {{"com.microsoft.Gelu",
        {Tensor::of<float>({2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f})},
        {}},
       Tensor::of<float>({2, 3}, {0, 1.735325f, -0.1130593f, 1.735325f, -0.1694843f, -0.1146266f})},
      {{"com.microsoft.BiasGelu",
        {Tensor::of<float>({2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f}),
         Tensor::of<float>({3}, {-1, -0.8f, 1.3f})},
        {}},
       Tensor::of<float>(
           {2, 3}, {-0.1586553f, 0.8413447f, -0.04601723f, 0.6305156f, -0.08767886f, 0.8413447f})},
      {{"com.microsoft.FastGelu",
        {Tensor::of<float>({2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f}),
         Tensor::of<float>({3}, {-1, -0.8f, 1.3f})},
        {}},
       Tensor::of<float>(
           {2, 3}, {-0.158808f, 0.8411919f, -0.04601726f, 0.6304316f, -0.08786307f, 0.8411919f})},
      {{"com.microsoft.FastGelu",
        {Tensor::of<float>({2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f})},
        {}},
       Tensor::of<float>({2, 3}, {0, 1.73526f, -0.1132919f, 1.73526f, -0.1695683f, -0.1146291f})},
      {{"com.microsoft.QuickGelu",
        {Tensor::of<float>({2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f})},
        {}},
       Tensor::of<float>({2, 3}, {0, 1.719659f, -0.1182911f, 1.719659f, -0.1631843f, -0.1125159f})},
      {{"com.microsoft.FusedMatMul",
        {Tensor::of<float>({3, 2}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f}),
         Tensor::of<float>({3, 2}, {-1, -0.8f, 1.3f, -1.6f, 0.4f, 0.9f})},
        {{"transA", int64_t{1}}, {"alpha", 0.5f}}},
       Tensor::of<float>({2, 2}, {-1.07f, 0.76f, 0.2099999f, -2.295f})},
      {{"com.microsoft.FusedMatMul",
        {Tensor::of<float>({2, 2, 3},
                           {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f, 1.3f, -0.4f, 0.2f, -1.9f, 1, 0.2f}),
         Tensor::of<float>({2, 2, 3}, {-1, -0.8f, 1.3f, -1.6f, 0.4f, 0.9f, -1.2f, -1.8f, -0.9f,
                                       0.6f, 0.2f, -1.4f})},
        {{"transBatchA", int64_t{1}}, {"transB", int64_t{1}}}},
       Tensor::of<float>({2, 2, 2},
                         {-3.26f, -0.54f, -0.72f, -2.06f, -0.4500001f, 1.34f, 0.3f, -1.22f})},
      {{"com.microsoft.FusedGemm",
        {Tensor::of<float>({2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f}),
         Tensor::of<float>({3, 2}, {-1, -0.8f, 1.3f, -1.6f, 0.4f, 0.9f}),
         Tensor::of<float>({2}, {-1.7f, -1.1f})},
        {{"activation", std::string("LeakyRelu")}, {"activation_alpha", 0.25f}, {"alpha", 0.5f}}},
       Tensor::of<float>({2, 2}, {-0.2025f, -0.7925f, -0.795f, -0.32875f})},
      {{"com.microsoft.FusedConv",
        {Tensor::of<float>({1, 2, 4}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f, 1.3f, -0.4f}),
         Tensor::of<float>({2, 2, 2}, {-1, -0.8f, 1.3f, -1.6f, 0.4f, 0.9f, -1.2f, -1.8f}),
         Tensor::of<float>({2}, {-1.7f, -1.1f}),
         Tensor::of<float>({1, 2, 3}, {1.8f, 0, 1.9f, -1.7f, 0.4f, -0.5f})},
        {{"activation", std::string("LeakyRelu")},
         {"activation_params", std::vector<float>{0.25f}}}},
       Tensor::of<float>({1, 2, 3}, {-0.475f, -1.2125f, 2.49f, 0.3199998f, -0.8049999f, -0.345f})},
      {{"com.microsoft.FusedConv",
        {Tensor::of<float>({1, 2, 4}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f, 1.3f, -0.4f}),
         Tensor::of<float>({2, 1, 2}, {-1, -0.8f, 1.3f, -1.6f})},
        {{"activation", std::string("Clip")},
         {"activation_params", std::vector<float>{-0.5f, 1.5f}},
         {"group", int64_t{2}},
         {"pads", Ints{1, 0}},
         {"strides", Ints{2}}}},
       Tensor::of<float>({1, 2, 2}, {0, -0.5f, 1.28f, -0.5f})},
      {{"com.microsoft.SkipLayerNormalization",
        {Tensor::of<float>({1, 2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f}),
         Tensor::of<float>({2, 3}, {-1, -0.8f, 1.3f, -1.6f, 0.4f, 0.9f}),
         Tensor::of<float>({3}, {-1.7f, -1.1f, 1.2f}), Tensor::of<float>({3}, {1.8f, 0, 1.9f}),
         Tensor::of<float>({3}, {1.2f, 1.2f, 0.1f})},
        {{"epsilon", 0.125f}}},
       Tensor::of<float>({1, 2, 3},
                         {2.767415f, -1.460607f, 0.9894915f, 0.2314007f, 0.3903753f, 1.218617f})},
      {{"com.microsoft.SkipSimplifiedLayerNormalization",
        {Tensor::of<float>({1, 2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f}),
         Tensor::of<float>({1, 2, 3}, {-1, -0.8f, 1.3f, -1.6f, 0.4f, 0.9f}),
         Tensor::of<float>({3}, {-1.7f, -1.1f, 1.2f}), Tensor::of<float>({3}, {1.2f, 1.2f, 0.1f})},
        {{"epsilon", 0.125f}}},
       Tensor::of<float>({1, 2, 3}, {-0.2568936f, -1.828478f, -2.026595e-08f, -2.214552f,
                                     -0.8188261f, 0.7816067f})},
      {{"SimplifiedLayerNormalization",
        {Tensor::of<float>({2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f}),
         Tensor::of<float>({3}, {-1.7f, -1.1f, 1.2f})},
        {{"epsilon", 0.125f}}},
       Tensor::of<float>({2, 3},
                         {-0, -1.452457f, -1.232388f, -2.542654f, 0.7312207f, -0.2991357f})},
      {{"com.microsoft.EmbedLayerNormalization",
        {Tensor::of<int32_t>({1, 2}, {1, 2}), Tensor::of<int32_t>({1, 2}, {0, 1}),
         Tensor::of<float>({3, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f, 1.3f, -0.4f, 0.2f}),
         Tensor::of<float>({2, 3}, {-1, -0.8f, 1.3f, -1.6f, 0.4f, 0.9f}),
         Tensor::of<float>({2, 3}, {-1.7f, -1.1f, 1.2f, 0.3f, -1.6f, -0.3f}),
         Tensor::of<float>({3}, {1.8f, 0, 1.9f}), Tensor::of<float>({3}, {1.2f, 1.2f, 0.1f})},
        {{"epsilon", 0.125f}}},
       Tensor::of<float>({1, 2, 3}, {0.8203269f, 1.2f, 2.566252f, 1.653445f, 1.2f, 2.014545f})},
      {{"com.microsoft.DequantizeLinear",
        {Tensor::of<int8_t>({2, 3}, {-7, 3, 65, 115, -120, -92}),
         Tensor::of<float>({3}, {0.5f, 0.25f, 2}), Tensor::of<int8_t>({3}, {1, 2, 3})},
        {{"axis", int64_t{1}}}},
       Tensor::of<float>({2, 3}, {-4, 0.25f, 124, 57, -30.5f, -190})},
      {{"com.microsoft.MatMulNBits",
        {Tensor::of<float>({1, 18}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f, 1.3f, -0.4f, 0.2f, -1.9f,
                                     1, 0.2f, -0.7f, 1.2f, -0.8f, -0.2f, -1.5f, -0.4f}),
         Tensor::of<uint8_t>({2, 2, 8}, {121, 131, 193, 243, 8,   36,  210, 242, 63, 79,  222,
                                         108, 69,  211, 65,  104, 164, 140, 21,  7,  221, 192,
                                         214, 137, 209, 84,  115, 201, 31,  77,  31, 116}),
         Tensor::of<float>({2, 2}, {-1, -0.8f, 1.3f, -1.6f}),
         Tensor::of<uint8_t>({2, 1}, {207, 21})},
        {{"K", int64_t{18}}, {"N", int64_t{2}}, {"block_size", int64_t{16}}}},
       Tensor::of<float>({1, 2}, {-16.18f, 5.470003f})},
      {{"com.microsoft.MultiHeadAttention",
        {Tensor::of<float>({1, 2, 4}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f, 1.3f, -0.4f}),
         Tensor::of<float>({1, 3, 4}, {-1, -0.8f, 1.3f, -1.6f, 0.4f, 0.9f, -1.2f, -1.8f, -0.9f,
                                       0.6f, 0.2f, -1.4f}),
         Tensor::of<float>({1, 3, 4}, {-1.7f, -1.1f, 1.2f, 0.3f, -1.6f, -0.3f, -0.1f, -1.4f, 0.9f,
                                       -1.5f, -0.4f, 0.1f}),
         Tensor::of<float>(
             {12}, {1.8f, 0, 1.9f, -1.7f, 0.4f, -0.5f, 1.2f, -1.3f, 1.5f, 0.2f, 1.6f, -0.1f}),
         Tensor::of<int32_t>({1}, {2}),
         Tensor::of<float>({1, 2, 2, 3}, {1.2f, 1.2f, 0.1f, -0.9f, -1.8f, -0.5f, -0.4f, -1.8f,
                                          -1.8f, 2, 0.6f, -1.1f})},
        {{"num_heads", int64_t{2}}}},
       Tensor::of<float>({1, 2, 4}, {-0.1018972f, -0.1151773f, 2.681328f, 0.04481278f, -0.1567259f,
                                     -0.5538069f, 2.798495f, 0.1980314f})},
      {{"com.microsoft.RotaryEmbedding",
        {Tensor::of<float>({1, 2, 8}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f, 1.3f, -0.4f, 0.2f, -1.9f,
                                       1, 0.2f, -0.7f, 1.2f, -0.8f, -0.2f}),
         Tensor::of<int64_t>({1, 2}, {2, 0}),
         Tensor::of<float>({3, 2}, {-1, -0.8f, 1.3f, -1.6f, 0.4f, 0.9f}),
         Tensor::of<float>({3, 2}, {-1.7f, -1.1f, 1.2f, 0.3f, -1.6f, -0.3f})},
        {}},
       Tensor::of<float>({1, 2, 8}, {-2.24f, 2.16f, -0.56f, 1.08f, 1.76f, -0.39f, 1.8f, -0.27f,
                                     1.5f, 1.74f, -1.34f, 1.93f, -0.66f, -1.18f, 1.99f, -1.16f})},
      {{"com.microsoft.RotaryEmbedding",
        {Tensor::of<float>({1, 2, 8}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f, 1.3f, -0.4f, 0.2f, -1.9f,
                                       1, 0.2f, -0.7f, 1.2f, -0.8f, -0.2f}),
         Tensor::of<int64_t>({1}, {1}),
         Tensor::of<float>({3, 2}, {-1, -0.8f, 1.3f, -1.6f, 0.4f, 0.9f}),
         Tensor::of<float>({3, 2}, {-1.7f, -1.1f, 1.2f, 0.3f, -1.6f, -0.3f})},
        {{"interleaved", int64_t{1}}}},
       Tensor::of<float>({1, 2, 8},
                         {-2.16f, 2.34f, 1.7f, -3.3f, -0.6799999f, -1.35f, -1.96f, 1.03f, -2.96f,
                          -1.08f, 0.96f, -0.12f, 1.64f, 1.6f, -0.78f, 0.06000002f})},
  };
}

std::vector<MicrosoftCase> quantized() {
  return {
      {{"com.microsoft.QuantizeLinear",
        {Tensor::of<float>({2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f}),
         Tensor::of<float>({}, {0.05f}), Tensor::of<int8_t>({}, {5})},
        {}},
       Tensor::of<int8_t>({2, 3}, {5, 41, -23, 41, -11, -1})},
      {{"com.microsoft.QLinearAdd",
        {Tensor::of<uint8_t>({2, 3}, {121, 131, 193, 243, 8, 36}), Tensor::of<float>({}, {0.02f}),
         Tensor::of<uint8_t>({}, {3}), Tensor::of<uint8_t>({3}, {214, 66, 27}),
         Tensor::of<float>({}, {0.05f}), Tensor::of<uint8_t>({}, {11}),
         Tensor::of<float>({}, {0.03f}), Tensor::of<uint8_t>({}, {7})},
        {}},
       Tensor::of<uint8_t>({2, 3}, {255, 184, 160, 255, 102, 56})},
      {{"com.microsoft.QLinearMul",
        {Tensor::of<uint8_t>({2, 3}, {121, 131, 193, 243, 8, 36}), Tensor::of<float>({}, {0.02f}),
         Tensor::of<uint8_t>({}, {3}), Tensor::of<uint8_t>({3}, {214, 66, 27}),
         Tensor::of<float>({}, {0.05f}), Tensor::of<uint8_t>({}, {11}),
         Tensor::of<float>({}, {0.2f}), Tensor::of<uint8_t>({}, {7})},
        {}},
       Tensor::of<uint8_t>({2, 3}, {127, 42, 22, 251, 8, 10})},
      {{"com.microsoft.QLinearSigmoid",
        {Tensor::of<uint8_t>({2, 3}, {121, 131, 193, 243, 8, 36}), Tensor::of<float>({}, {0.03f}),
         Tensor::of<uint8_t>({}, {120}), Tensor::of<float>({}, {0.004f}),
         Tensor::of<uint8_t>({}, {0})},
        {}},
       Tensor::of<uint8_t>({2, 3}, {127, 145, 225, 244, 8, 19})},
      {{"com.microsoft.QLinearLeakyRelu",
        {Tensor::of<uint8_t>({2, 3}, {121, 131, 193, 243, 8, 36}), Tensor::of<float>({}, {0.03f}),
         Tensor::of<uint8_t>({}, {120}), Tensor::of<float>({}, {0.02f}),
         Tensor::of<uint8_t>({}, {9})},
        {{"alpha", 0.25f}}},
       Tensor::of<uint8_t>({2, 3}, {11, 25, 119, 193, 0, 0})},
      {{"com.microsoft.QLinearSoftmax",
        {Tensor::of<uint8_t>({2, 3}, {121, 131, 193, 243, 8, 36}), Tensor::of<float>({}, {0.03f}),
         Tensor::of<uint8_t>({}, {120}), Tensor::of<float>({}, {0.00390625f}),
         Tensor::of<uint8_t>({}, {0})},
        {{"opset", int64_t{13}}, {"axis", int64_t{1}}}},
       Tensor::of<uint8_t>({2, 3}, {23, 31, 201, 255, 0, 1})},
      {{"com.microsoft.QLinearSoftmax",
        {Tensor::of<uint8_t>({1, 2, 3}, {121, 131, 193, 243, 8, 36}),
         Tensor::of<float>({}, {0.03f}), Tensor::of<uint8_t>({}, {120}),
         Tensor::of<float>({}, {0.00390625f}), Tensor::of<uint8_t>({}, {0})},
        {{"opset", int64_t{11}}, {"axis", int64_t{1}}}},
       Tensor::of<uint8_t>({1, 2, 3}, {5, 7, 44, 199, 0, 0})},
      {{"com.microsoft.QLinearConcat",
        {Tensor::of<float>({}, {0.04f}), Tensor::of<uint8_t>({}, {7}),
         Tensor::of<uint8_t>({2, 3}, {121, 131, 193, 243, 8, 36}), Tensor::of<float>({}, {0.02f}),
         Tensor::of<uint8_t>({}, {3}), Tensor::of<uint8_t>({1, 3}, {121, 131, 193}),
         Tensor::of<float>({}, {0.05f}), Tensor::of<uint8_t>({}, {9})},
        {{"axis", int64_t{0}}}},
       Tensor::of<uint8_t>({3, 3}, {66, 71, 102, 127, 9, 23, 147, 159, 237})},
      {{"com.microsoft.QLinearAveragePool",
        {Tensor::of<int8_t>({1, 1, 3, 4}, {-7, 3, 65, 115, -120, -92, 82, 114, -65, -49, 94, -20}),
         Tensor::of<float>({}, {0.02f}), Tensor::of<int8_t>({}, {3}),
         Tensor::of<float>({}, {0.015f}), Tensor::of<int8_t>({}, {5})},
        {{"kernel_shape", Ints{2, 2}}}},
       Tensor::of<int8_t>({1, 1, 2, 3}, {-71, 20, 126, -108, 13, 91})},
      {{"com.microsoft.QLinearGlobalAveragePool",
        {Tensor::of<int8_t>({1, 2, 2, 3}, {-7, 3, 65, 115, -120, -92, 82, 114, -65, -49, 94, -20}),
         Tensor::of<float>({}, {0.02f}), Tensor::of<int8_t>({}, {3}),
         Tensor::of<float>({}, {0.015f}), Tensor::of<int8_t>({}, {5})},
        {{"channels_last", int64_t{1}}}},
       Tensor::of<int8_t>({1, 1, 1, 3}, {48, 31, -36})},
      {{"com.microsoft.QGemm",
        {Tensor::of<uint8_t>({2, 3}, {121, 131, 193, 243, 8, 36}), Tensor::of<float>({}, {0.02f}),
         Tensor::of<uint8_t>({}, {120}), Tensor::of<int8_t>({3, 2}, {57, 113, 97, 2, 112, 121}),
         Tensor::of<float>({2}, {0.01f, 0.02f}), Tensor::of<int8_t>({2}, {1, -4}),
         Tensor::of<int32_t>({2}, {50, -30})},
        {{"alpha", 0.5f}}},
       Tensor::of<float>({2, 2}, {0.9265f, 1.8556f, -1.3138f, 0.6378f})},
      {{"com.microsoft.QGemm",
        {Tensor::of<uint8_t>({2, 3}, {121, 131, 193, 243, 8, 36}), Tensor::of<float>({}, {0.02f}),
         Tensor::of<uint8_t>({}, {120}), Tensor::of<int8_t>({2, 3}, {57, 97, 112, 113, 2, 121}),
         Tensor::of<float>({}, {0.01f}), Tensor::of<int8_t>({}, {3}), Tensor(),
         Tensor::of<float>({}, {0.9f}), Tensor::of<uint8_t>({}, {9})},
        {{"transB", int64_t{1}}}},
       Tensor::of<uint8_t>({2, 2}, {11, 11, 6, 10})},
      {{"com.microsoft.MatMulIntegerToFloat",
        {Tensor::of<uint8_t>({2, 3}, {121, 131, 193, 243, 8, 36}),
         Tensor::of<int8_t>({3, 2}, {57, 113, 97, 2, 112, 121}), Tensor::of<float>({}, {0.02f}),
         Tensor::of<float>({2}, {0.01f, 0.02f}), Tensor::of<uint8_t>({}, {120}),
         Tensor::of<int8_t>({2}, {1, -4}), Tensor::of<float>({2}, {0, 1.8f})},
        {}},
       Tensor::of<float>({2, 2}, {1.843f, 5.5232f, -2.6376f, 3.0876f})},
      {{"com.microsoft.DynamicQuantizeMatMul",
        {Tensor::of<float>({2, 3}, {0, 1.8f, -1.4f, 1.8f, -0.8f, -0.3f}),
         Tensor::of<int8_t>({3, 2}, {57, 113, 97, 2, 112, 121}),
         Tensor::of<float>({2}, {0.01f, 0.02f}), Tensor::of<int8_t>({2}, {1, -4}),
         Tensor::of<float>({2}, {0, 1.8f})},
        {}},
       Tensor::of<float>({2, 2}, {0.1626353f, -1.498384f, -0.1003921f, 5.149835f})},
  };
}

// The floating-point inputs in double.
OpRun in_double(OpRun run) {
  for (Tensor& t : run.inputs) {
    if (t.defined() && t.dtype() == DType::Float32) t = convert(t, DType::Float64);
  }
  return run;
}

std::string ms(const char* name) { return std::string("com.microsoft.") + name; }

TEST(Microsoft, FunctionsGiveWhatOnnxRuntimeDoes) {
  for (const MicrosoftCase& c : differentiable()) {
    SCOPED_TRACE(c.run.op);
    expect_close(run_op(c.run)[0], c.expected, 1e-5, 1e-6);
    expect_decomposes(in_double(c.run), 1e-12, std::vector<size_t>{});
    check_gradient(in_double(c.run));
  }
}

TEST(Microsoft, QuantizedFunctionsGiveWhatOnnxRuntimeDoes) {
  for (const MicrosoftCase& c : quantized()) {
    SCOPED_TRACE(c.run.op);
    expect_close(run_op(c.run)[0], c.expected, 1e-5, 1e-6);
    expect_decomposes(c.run, 1e-6, std::vector<size_t>{});
  }
}

// ONNX Runtime has no kernel of it for processors.
TEST(Microsoft, FusedMatMulActivation) {
  Tensor a = random_tensor({2, 3}, 1), b = random_tensor({3, 2}, 2);
  for (const char* activation : {"Relu", "Softmax"}) {
    OpRun run{ms("FusedMatMulActivation"),
              {a, b},
              {{"activation", std::string(activation)}, {"alpha", 0.5f}}};
    Tensor product = run_op({ms("FusedMatMul"), {a, b}, {{"alpha", 0.5f}}})[0];
    expect_close(run_op(run)[0], run_op({activation, {product}})[0]);
    expect_decomposes(run, 1e-12, std::vector<size_t>{});
    check_gradient(run);
  }
}

TEST(Microsoft, OptionalOutputs) {
  Tensor x = random_tensor({2, 4}, 1), g = random_tensor({4}, 2);
  std::vector<Tensor> y = run_op({ms("SkipLayerNormalization"), {x, x, g}, {}, 4});
  EXPECT_EQ(y[1].type_text(), "float[2,1]");
  EXPECT_EQ(y[2].type_text(), "float[2,1]");
  expect_close(y[3], run_op({"Add", {x, x}})[0]);
  Tensor one = Tensor::of<double>({1, 2}, {3, 4});
  y = run_op({"SimplifiedLayerNormalization", {one, Tensor::of<double>({2}, {1, 1})}, {}, 2});
  expect_close(y[1], Tensor::of<double>({1, 1}, {1 / std::sqrt(12.5)}), 1e-5);
}

// Weights [1, 32] of value 1 below 16 and 2 from there on; g_idx names the scale of each.
TEST(Microsoft, FewBitsInNamedGroups) {
  Tensor b(DType::UInt8, {1, 2, 8}), groups(DType::Int32, {32}), x(DType::Float32, {1, 32});
  for (int64_t i = 0; i < 16; ++i) b.data<uint8_t>()[i] = i < 8 ? 0x99 : 0xAA;
  for (int64_t i = 0; i < 32; ++i) {
    groups.data<int32_t>()[i] = i == 0 ? 1 : 0;
    x.data<float>()[i] = i == 0 || i == 31 ? 1.0f : 0.0f;
  }
  Tensor scales = Tensor::of<float>({2}, {1, 10});
  Attributes a{{"K", int64_t{32}}, {"N", int64_t{1}}, {"block_size", int64_t{16}}};
  OpRun run{ms("MatMulNBits"), {x, b, scales, Tensor(), groups}, a};
  expect_close(run_op(run)[0], Tensor::of<float>({1, 1}, {12}));
  groups.data<int32_t>()[5] = 7;
  expect_error(run, "7");
}

TEST(Microsoft, Rejects) {
  Tensor x = random_tensor({2, 3}, 1), two = random_tensor({2}, 1), scalar = Tensor::scalar(1.0);
  expect_error({ms("BiasGelu"), {x, two}}, "expected [3]");
  expect_error({ms("FastGelu"), {scalar, two}}, "expected an axis");
  expect_error({ms("FusedMatMul"), {scalar, x}}, "expected an axis");
  expect_error({ms("FusedMatMul"), {x, x}}, "[2,3]");
  expect_error({ms("FusedGemm"), {x, x}, {{"activation", std::string("Loop")}}}, "'Loop'");
  Tensor image = random_tensor({1, 1, 3}, 1), w = random_tensor({1, 1, 2}, 2);
  Attributes relu{{"activation", std::string("Relu")},
                  {"activation_params", std::vector<float>{1, 2, 3}}};
  expect_error({ms("FusedConv"), {image, w}, relu}, "3 numbers");
  expect_error({ms("FusedConv"), {image, w}, {{"group", int64_t{0}}}}, "group");
  expect_error({ms("SkipLayerNormalization"), {scalar, scalar, two}}, "rank 2 or 3");
  expect_error({ms("SkipLayerNormalization"), {x, two, random_tensor({3}, 1)}}, "expected [");
  expect_error({"SimplifiedLayerNormalization", {x, two}, {{"axis", int64_t{5}}}}, "'axis' is 5");
  Tensor ids = Tensor::of<int32_t>({1, 2}, {0, 9}), table = convert(x, DType::Float32);
  Tensor three = Tensor::of<float>({3}, {1, 1, 1}), none;
  expect_error({ms("EmbedLayerNormalization"), {ids, none, table, table, none, three, three}}, "9");
  expect_error({ms("EmbedLayerNormalization"), {ids, ids, table, table, none, three, three}},
               "go together");
}

TEST(Microsoft, RejectsAttention) {
  Tensor q = random_tensor({1, 2, 4}, 1), odd = random_tensor({1, 2, 5}, 1), none;
  Attributes two{{"num_heads", int64_t{2}}};
  expect_error({ms("MultiHeadAttention"), {q, q, q}, {{"num_heads", int64_t{0}}}}, "is 0");
  expect_error({ms("MultiHeadAttention"), {odd, odd, odd}, two}, "not divisible");
  expect_error({ms("MultiHeadAttention"), {q}, two}, "expected rank 5");
  expect_error({ms("MultiHeadAttention"), {q, q}, two}, "expected rank 5");
  Tensor lengths = Tensor::of<int32_t>({3}, {1, 1, 1}), past = random_tensor({1, 2, 3, 2}, 1);
  expect_error({ms("MultiHeadAttention"), {q, q, q, none, lengths}, two}, "expected [1]");
  expect_error({ms("MultiHeadAttention"), {q, q, q, none, none, none, past}, two}, "go together");
  expect_error({ms("MultiHeadAttention"), {q, q, q, random_tensor({7}, 1)}, two}, "3");
  Tensor cache = random_tensor({3, 2}, 1), at = Tensor::of<int64_t>({1}, {2});
  expect_error({ms("RotaryEmbedding"), {odd, at, cache, cache}}, "no heads");
  expect_error({ms("RotaryEmbedding"), {q, at, cache, cache}}, "3");
  expect_error({ms("RotaryEmbedding"), {q, at, cache, cache}, {{"scale", 2.0f}}}, "scales");
  Tensor first = Tensor::of<int64_t>({1}, {0});
  expect_error({ms("RotaryEmbedding"), {q, first, cache, random_tensor({3, 1}, 1)}}, "[3,1]");
}

TEST(Microsoft, RejectsQuantized) {
  Tensor q = Tensor::of<uint8_t>({2, 2}, {1, 2, 3, 4}), many = Tensor::of<float>({2}, {1, 2});
  Tensor s = Tensor::scalar(0.5f), z = Tensor::scalar<uint8_t>(0), none;
  expect_error({ms("QLinearAdd"), {q, many, z, q, s, z, s, z}}, "one element");
  Attributes softmax{{"opset", int64_t{13}}, {"axis", int64_t{2}}};
  expect_error({ms("QLinearSoftmax"), {q, s, z, s, z}, softmax}, "'axis' is 2");
  expect_error({ms("QLinearConcat"), {s, z, q, s}, {{"axis", int64_t{0}}}}, "4 inputs");
  expect_error({ms("QLinearConcat"), {s, z, s, s, z}, {{"axis", int64_t{0}}}}, "float");
  expect_error({ms("QLinearAveragePool"), {q, s, z, s, z}, {{"kernel_shape", Ints{1}}}}, "images");
  expect_error({ms("QGemm"), {q, s, z, q, s, z, none, s}}, "go together");
  expect_error({ms("QGemm"), {q, s, z, q, s, z, Tensor::of<int32_t>({3}, {1, 2, 3})}}, "3");
  Tensor a(DType::Float32, {1, 16}), b(DType::UInt8, {1, 1, 8});
  std::fill_n(a.data<float>(), 16, 1.0f);
  std::fill_n(b.data<uint8_t>(), 8, uint8_t{0});
  auto few = [&](int64_t n, int64_t k, int64_t bits, int64_t block) {
    return OpRun{ms("MatMulNBits"),
                 {a, b, Tensor::of<float>({1}, {1})},
                 {{"N", n}, {"K", k}, {"bits", bits}, {"block_size", block}}};
  };
  expect_error(few(1, INT64_MAX, 4, 16), "weights of 1 times");
  expect_error(few(-1, 16, 4, 16), "weights of -1");
  expect_error(few(1, 16, 3, 16), "'bits' is 3");
  expect_error(few(1, 16, 4, 0), "'block_size' is 0");
  expect_error(few(1, 16, 8, 16), "expected 16 elements");
  expect_error(few(1, 17, 4, 16), "expected 17 columns");
}

TEST(Microsoft, Inverse) {
  Tensor x = Tensor::of<double>({2, 2, 2}, {0, 2, 4, 0, 1, 2, 3, 4});
  expect_close(run_op({ms("Inverse"), {x}})[0],
               Tensor::of<double>({2, 2, 2}, {0, 0.25, 0.5, 0, -2, 1, 1.5, -0.5}));
  check_gradient({ms("Inverse"), {x}}, {.second_order = true});
  EXPECT_EQ(run_op({ms("Inverse"), {Tensor(DType::Float64, {0, 3, 3})}})[0].size(), 0);
  expect_error({ms("Inverse"), {Tensor::of<float>({2, 2}, {1, 2, 2, 4})}}, "matrix 0 is singular");
  expect_error({ms("Inverse"), {Tensor(DType::Float32, {2, 3})}}, "expected square matrices");
  expect_error({ms("Inverse"), {Tensor(DType::Float32, {2})}}, "expected square matrices");
}

TEST(Microsoft, PackedAttention) {
  Attributes heads{{"num_heads", int64_t{2}}, {"unidirectional", int64_t{1}}};
  Tensor x = random_tensor({2, 3, 4}, 1), w = random_tensor({4, 12}, 2), b = random_tensor({12}, 3);
  Tensor ends = Tensor::of<int32_t>({2}, {3, 2}), past = random_tensor({2, 2, 2, 5, 2}, 4);
  OpRun masked{ms("Attention"), {x, w, b, ends}, heads};
  OpRun later{ms("Attention"), {x, w, b, Tensor(), past}, heads, 2};
  for (const OpRun& run : {masked, later}) {
    expect_decomposes(run, 1e-12, std::vector<size_t>{});
    check_gradient(run);
  }
  Tensor bytes = Tensor::of<uint8_t>({1, 1, 2}, {3, 9}), one = Tensor::scalar(0.1f);
  Tensor weights(DType::Int8, {2, 6});
  std::fill_n(weights.data<int8_t>(), 12, int8_t{5});
  Tensor zeros = Tensor::of<float>({6}, {0, 0, 0, 0, 0, 0});
  Attributes single{{"num_heads", int64_t{1}}};
  OpRun quantized{ms("QAttention"), {bytes, weights, zeros, one, one}, single};
  expect_close(run_op(quantized)[0], Tensor::of<float>({1, 1, 2}, {0.6f, 0.6f}), 1e-5);
  expect_decomposes(quantized, 1e-6, std::vector<size_t>{});
  expect_error({ms("Attention"), {x, w, b}, {{"num_heads", int64_t{0}}}}, "'num_heads' is 0");
  expect_error({ms("Attention"), {x, w, b}, {{"num_heads", int64_t{5}}}}, "5 heads");
  expect_error({ms("Attention"), {x, b, b}, heads}, "expected rank 2");
  expect_error({ms("Attention"), {x, w, x}, heads}, "expected rank 1");
  Tensor three = Tensor::of<int32_t>({3}, {1, 2, 3});
  expect_error({ms("Attention"), {x, w, b, three}, heads}, "for 2 sequences");
  Attributes sizes{{"num_heads", int64_t{2}}, {"qkv_hidden_sizes", std::vector<int64_t>{4, 4}}};
  expect_error({ms("Attention"), {x, w, b}, sizes}, "'qkv_hidden_sizes'");
  expect_error({ms("QAttention"), {bytes, weights, zeros, zeros, one}, single}, "one element");
}

}  // namespace

std::vector<Row> microsoft_rows() {
  const Dims m = {2, 3};
  const In whole(m), s({}, {1}), z({}, {0}), none;
  auto row = [](const char* name, std::vector<In> inputs, Attributes a = {}) {
    return Row{ms(name), std::move(inputs), std::move(a)};
  };
  return {
      row("Gelu", {{m}}),
      row("BiasGelu", {{m}, {{3}}}),
      row("FastGelu", {{m}, {{3}}}),
      row("QuickGelu", {{m}}),
      row("FusedMatMul", {{m}, {{3, 2}}}),
      row("FusedMatMulActivation", {{m}, {{3, 2}}}, {{"activation", std::string("Relu")}}),
      row("FusedGemm", {{m}, {{3, 2}}, {{2}}}),
      row("FusedConv", {{{1, 1, 4}}, {{1, 1, 2}}, {{1}}}, {{"activation", std::string("Relu")}}),
      row("SkipLayerNormalization", {{m}, {m, {1, 3, 5, 2}}, {{3}}, {{3}}}),
      row("SkipSimplifiedLayerNormalization", {{m}, {m, {1, 3, 5, 2}}, {{3}}}),
      {"SimplifiedLayerNormalization", {{m}, {{3}}}},
      row("MultiHeadAttention", {{{1, 2, 4}}, {{1, 3, 4}}, {{1, 3, 4}}, none, {{1}, {2}}},
          {{"num_heads", int64_t{2}}}),
      row("Attention", {{{1, 2, 4}}, {{4, 12}}, {{12}}, {{1}, {2}}}, {{"num_heads", int64_t{2}}}),
      row("Inverse", {{{2, 2}, {2, 1, 1, 3}}}),
      row("QAttention", {{{1, 2, 4}}, {{4, 12}}, {{12}}, s, s}, {{"num_heads", int64_t{2}}}),
      row("RotaryEmbedding", {{{1, 2, 4}}, {{1}, {1}}, {{3, 2}}, {{3, 2}}}),
      row("EmbedLayerNormalization",
          {{{1, 2}, {0, 1}}, none, {m, {1, 3, 5, 2}}, {m, {4, 1, 2, 2}}, none, {{3}}, {{3}}}),
      row("DequantizeLinear", {{m, {0, 1}}, s, z}),
      row("MatMulNBits", {{{1, 16}}, {{1, 1, 8}, {0, 1}}, {{1}, {1}}, {{1, 1}, {1}}},
          {{"K", int64_t{16}}, {"N", int64_t{1}}, {"block_size", int64_t{16}}}),
      row("QuantizeLinear", {{m}, s, z}),
      row("QLinearAdd", {whole, s, z, whole, s, z, s, z}),
      row("QLinearMul", {whole, s, z, whole, s, z, s, z}),
      row("QLinearSigmoid", {whole, s, z, s, z}),
      row("QLinearLeakyRelu", {whole, s, z, s, z}),
      row("QLinearSoftmax", {whole, s, z, s, z}, {{"opset", int64_t{13}}}),
      row("QLinearAveragePool", {{{1, 1, 4}}, s, z, s, z}, {{"kernel_shape", Ints{2}}}),
      row("QLinearGlobalAveragePool", {{{1, 1, 4}}, s, z, s, z}),
      row("QGemm", {whole, s, z, {{3, 2}}, s, z}),
      row("MatMulIntegerToFloat", {whole, {{3, 2}}, s, s, z, z}),
      row("DynamicQuantizeMatMul", {{m}, {{3, 2}}, s}),
  };
}

}  // namespace onnxrun::testing
