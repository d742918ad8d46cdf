// com.microsoft: DynamicQuantizeLSTM.
#include "emit/function_op.h"
#include "microsoft/declarations.h"
#include "recurrent_family.h"

namespace onnxrun {

namespace {

// An LSTM with the weights that its bytes stand for. ONNX Runtime also rounds what they are
// multiplied with to bytes, which is not done here: the results are closer to the LSTM's that the
// file was made of.
class DynamicQuantizeLstm final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override { a_.visit(v, false); }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < 8; ++i) inputs.push_back(d.input(i));
    inputs[1] = weights(e, d, 1, 8);
    inputs[2] = weights(e, d, 2, 10);
    while (inputs.back() == no_value) inputs.pop_back();
    Attributes attributes = a_.to_private();
    attributes.erase("cell");
    attributes.erase("linear_before_reset");
    std::vector<ValueId> outputs =
        d.builder().add_n("LSTM", inputs, 3, {.attributes = std::move(attributes)});
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (d.has_output(i)) d.set(i, outputs[i]);
    }
  }

 protected:
  void check(const InferContext& c) const override {
    const Dim directions = a_.directions();
    for (size_t i : {1, 2}) {
      require_rank(c, i, 3);
      if (!c.shape(i)) continue;
      const Dim& gates = (*c.shape(i))[2];
      for (size_t part : {i == 1 ? 8 : 10, i == 1 ? 9 : 11}) {
        if (c.shape(part) && c.rank(part) == 1) require_shape(c, part, {directions});
        if (c.shape(part) && c.rank(part) != 1) require_shape(c, part, {directions, gates});
      }
    }
  }

 private:
  // [directions, 4 hidden, inputs], as an LSTM has them.
  static ValueId weights(const Emit& e, const DecomposeContext& d, size_t i, size_t scale) {
    auto spread = [&](size_t part) {
      std::vector<int64_t> axes = {1};
      if (e.b.rank(d.input(part)) == 1) axes.push_back(2);
      return e.b.unsqueeze(e.b.cast(d.input(part), DType::Float32), axes);
    };
    ValueId x = e.b.cast(d.input(i), DType::Float32);
    return e.b.transpose(e.mul(e.sub(x, spread(scale + 1)), spread(scale)), {0, 2, 1});
  }

  RecurrentAttributes a_{CellKind::LSTM};
};

}  // namespace

void register_microsoft_dynamic_quantize_lstm(OpRegistry& r) {
  r.add<DynamicQuantizeLstm>(
      {.name = "DynamicQuantizeLSTM",
       .domain = "com.microsoft",
       .doc = "an LSTM whose weights are bytes",
       .since = {1},
       .inputs = {{"X", "T"},
                  {"W", "T2", InputRole::Weight},
                  {"R", "T2", InputRole::Weight},
                  {"B", "T", optional, InputRole::Bias},
                  {"sequence_lens", "T1", optional, InputRole::Setting},
                  {"initial_h", "T", optional, InputRole::State},
                  {"initial_c", "T", optional, InputRole::State},
                  {"P", "T", optional, InputRole::Weight},
                  {"W_scale", "T", InputRole::Setting},
                  {"W_zero_point", "T2"},
                  {"R_scale", "T", InputRole::Setting},
                  {"R_zero_point", "T2"}},
       .outputs = {{"Y", "T", optional}, {"Y_h", "T", optional}, {"Y_c", "T", optional}},
       .types = {{"T", DType::Float32}, {"T1", DType::Int32}, {"T2", {DType::Int8, DType::UInt8}}},
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace onnxrun
