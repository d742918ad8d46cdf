// com.microsoft: Gelu, BiasGelu, FastGelu, QuickGelu.
#include "emit/function_op.h"

namespace onnxrun {

namespace {

// Elements of the last axis each have their bias.
void check_bias(const InferContext& c, size_t bias) {
  require_rank(c, bias, 1);
  if (!c.shape(0)) return;
  if (c.shape(0)->empty()) c.reject("{}, expected an axis", c.describe_input(0));
  require_shape(c, bias, {c.shape(0)->back()});
}

class Gelu final : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const override { d.set(0, d.add("Gelu", {d.input(0)})); }
};

class BiasGelu final : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    d.set(0, d.add("Gelu", {d.add("Add", {d.input(0), d.input(1)})}));
  }

 protected:
  void check(const InferContext& c) const override { check_bias(c, 1); }
};

class FastGelu final : public FunctionOp {
 public:
  void decompose(DecomposeContext& d) const override {
    ValueId x = d.has_input(1) ? d.add("Add", {d.input(0), d.input(1)}) : d.input(0);
    d.set(0, d.add("Gelu", {x}, {{"approximate", std::string("tanh")}}));
  }

 protected:
  void check(const InferContext& c) const override {
    if (c.has_input(1)) check_bias(c, 1);
  }
};

class QuickGelu final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("alpha", alpha_, "factor in the sigmoid");
  }

  void decompose(DecomposeContext& d) const override {
    d.set(0, d.add("Swish", {d.input(0)}, {{"alpha", alpha_}}));
  }

 private:
  float alpha_ = 1.702f;
};

template <typename T>
void add_gelu(OpRegistry& r, std::string_view name, std::string_view doc, std::vector<Param> inputs,
              std::string_view output) {
  r.add<T>({.name = name,
            .domain = "com.microsoft",
            .doc = doc,
            .since = {1},
            .inputs = std::move(inputs),
            .outputs = {{output, "T"}},
            .types = {{"T", dtypes::floats}},
            .kind = OpKind::Activation,
            .gradient = GradientState::Decompose,
            .decomposes = true});
}

}  // namespace

void register_microsoft_gelu(OpRegistry& r) {
  add_gelu<Gelu>(r, "Gelu", "x Phi(x)", {{"X", "T"}}, "Y");
  add_gelu<BiasGelu>(r, "BiasGelu", "Gelu of a sum", {{"A", "T"}, {"B", "T", InputRole::Bias}},
                     "C");
  add_gelu<FastGelu>(r, "FastGelu", "Gelu by a tanh, of a sum",
                     {{"X", "T"}, {"bias", "T", Param::Kind::Optional, InputRole::Bias}}, "Y");
  add_gelu<QuickGelu>(r, "QuickGelu", "x sigmoid(alpha x)", {{"X", "T"}}, "Y");
}

}  // namespace onnxrun
