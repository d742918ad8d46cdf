// com.microsoft: FusedMatMul, FusedMatMulActivation, FusedGemm, FusedConv.
#include <numeric>

#include "emit/function_op.h"
#include "graph/cost.h"

namespace onnxrun {

namespace {

// What the activations call their numbers, in the order of FusedConv's activation_params.
struct ActivationForm {
  const char* name;
  std::vector<std::string> numbers;
};
const std::vector<ActivationForm>& activation_forms() {
  static const std::vector<ActivationForm> forms = {
      {"Relu", {}},
      {"Sigmoid", {}},
      {"Tanh", {}},
      {"LeakyRelu", {"alpha"}},
      {"HardSigmoid", {"alpha", "beta"}},
      {"HardSwish", {}},
      {"Elu", {"alpha"}},
      {"Selu", {"alpha", "gamma"}},
      {"Celu", {"alpha"}},
      {"ThresholdedRelu", {"alpha"}},
      {"Softplus", {}},
      {"Softsign", {}},
      {"Clip", {"min", "max"}},
  };
  return forms;
}

const ActivationForm& activation_form(const std::string& name) {
  for (const ActivationForm& form : activation_forms()) {
    if (form.name == name) return form;
  }
  fail(ErrorKind::Unsupported, "attribute 'activation' is '{}', which is not here", name);
}

// `numbers` may be fewer than the activation has: the others keep their defaults.
ValueId emit_activation(const Emit& e, const std::string& name,
                        const std::vector<std::optional<float>>& numbers, ValueId x) {
  if (name.empty()) return x;
  const ActivationForm& form = activation_form(name);
  if (name == "Clip") {
    auto bound = [&](size_t i) {
      return i < numbers.size() && numbers[i] ? e.scalar(static_cast<double>(*numbers[i]), x)
                                              : no_value;
    };
    return e("Clip", {x, bound(0), bound(1)});
  }
  Attributes attributes;
  for (size_t i = 0; i < form.numbers.size() && i < numbers.size(); ++i) {
    if (numbers[i]) attributes[form.numbers[i]] = *numbers[i];
  }
  return e(name, {x}, std::move(attributes));
}

// activation_alpha, _beta and _gamma.
class NamedActivation {
 public:
  void attributes(AttributeVisitor& v, bool required) {
    const char* doc = "what follows: Relu, Tanh, LeakyRelu and other activations of the standard";
    if (required) {
      v.required("activation", name_, doc);
    } else {
      v.visit("activation", optional_name_, doc);
    }
    v.visit("activation_alpha", alpha_, "alpha of the activation");
    v.visit("activation_beta", beta_, "beta of the activation");
    v.visit("activation_gamma", gamma_, "gamma of the activation");
  }

  std::string name() const { return optional_name_ ? *optional_name_ : name_; }
  void check() const {
    if (name() == "Clip") fail(ErrorKind::Unsupported, "attribute 'activation' is 'Clip'");
    if (!name().empty()) activation_form(name());
  }

  ValueId emit(const Emit& e, ValueId x) const {
    std::vector<std::optional<float>> numbers;
    if (name().empty()) return x;
    for (const std::string& number : activation_form(name()).numbers) {
      numbers.push_back(number == "alpha" ? alpha_ : number == "beta" ? beta_ : gamma_);
    }
    return emit_activation(e, name(), numbers, x);
  }

 private:
  std::string name_;
  std::optional<std::string> optional_name_;
  std::optional<float> alpha_, beta_, gamma_;
};

class FusedMatMul : public FunctionOp {
 public:
  Count operations(const CostContext& c) const override {
    return products_of(c, c.length(0, !trans_a_ ? -1 : batch_a_ ? 0 : -2));
  }
  WeightAxes weight_axes(size_t input, size_t rank) const override {
    return matrix_axes(rank, input == 0 ? trans_a_ : !trans_b_);
  }

  void attributes(AttributeVisitor& v) override {
    v.visit("alpha", alpha_, "factor of the product");
    v.visit("transA", trans_a_, "A's last two axes are swapped");
    v.visit("transB", trans_b_, "B's last two axes are swapped");
    v.visit("transBatchA", batch_a_, "A's first axis is the row of its matrices");
    v.visit("transBatchB", batch_b_, "B's first axis is the row of its matrices");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    d.set(0, product(e, d.input(0), d.input(1)));
  }

 protected:
  void check(const InferContext& c) const override {
    for (size_t i : {0, 1}) {
      if (c.shape(i) && c.rank(i) < 1) c.reject("{}, expected an axis", c.describe_input(i));
    }
  }

  ValueId product(const Emit& e, ValueId a, ValueId b) const {
    ValueId left = turned(e, a, batch_a_), right = turned(e, b, batch_b_);
    // Vectors have no axes to swap.
    bool ta = trans_a_ && e.b.rank(a) > 1, tb = trans_b_ && e.b.rank(b) > 1;
    ValueId y = e.b.rank(a) > 1 && e.b.rank(b) > 1 && (ta || tb)
                    ? e("onnxrun.MatMulT", {left, right},
                        {{"transA", int64_t{ta}}, {"transB", int64_t{tb}}})
                    : e.matmul(ta ? swapped(e, left) : left, tb ? swapped(e, right) : right);
    return alpha_ == 1 ? y : e.mul(y, e.scalar(static_cast<double>(alpha_), y));
  }

 private:
  // The first axis goes before the last.
  static ValueId turned(const Emit& e, ValueId v, bool turn) {
    int64_t rank = e.b.rank(v);
    if (rank < 0) fail(ErrorKind::Unsupported, "the rank of a factor is not known");
    if (!turn || rank < 3) return v;
    std::vector<int64_t> perm(static_cast<size_t>(rank));
    std::iota(perm.begin(), perm.end() - 2, 1);
    perm[perm.size() - 2] = 0;
    perm.back() = rank - 1;
    return e.b.transpose(v, perm);
  }

  static ValueId swapped(const Emit& e, ValueId v) {
    std::vector<int64_t> perm(static_cast<size_t>(e.b.rank(v)));
    std::iota(perm.begin(), perm.end(), 0);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    return e.b.transpose(v, perm);
  }

  float alpha_ = 1;
  bool trans_a_ = false, trans_b_ = false, batch_a_ = false, batch_b_ = false;
};

class FusedMatMulActivation final : public FusedMatMul {
 public:
  void attributes(AttributeVisitor& v) override {
    FusedMatMul::attributes(v);
    activation_.attributes(v, true);
    v.visit("activation_axis", axis_, "axis of an activation that has one");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId y = product(e, d.input(0), d.input(1));
    if (!is_softmax()) return d.set(0, activation_.emit(e, y));
    Attributes attributes;
    if (axis_) attributes["axis"] = *axis_;
    d.set(0, e(activation_.name(), {y}, attributes));
  }

 protected:
  void check(const InferContext& c) const override {
    FusedMatMul::check(c);
    if (!is_softmax()) activation_.check();
  }

 private:
  bool is_softmax() const {
    return activation_.name() == "Softmax" || activation_.name() == "LogSoftmax";
  }

  NamedActivation activation_;
  std::optional<int64_t> axis_;
};

class FusedGemm final : public FunctionOp {
 public:
  Count operations(const CostContext& c) const override {
    return products_of(c, c.length(0, trans_a_ ? 0 : 1), 2);
  }
  WeightAxes weight_axes(size_t input, size_t rank) const override {
    return matrix_axes(rank, input == 0 ? trans_a_ : !trans_b_);
  }

  void attributes(AttributeVisitor& v) override {
    activation_.attributes(v, false);
    v.visit("alpha", alpha_, "factor of the product");
    v.visit("beta", beta_, "factor of C");
    v.visit("transA", trans_a_, "A is transposed");
    v.visit("transB", trans_b_, "B is transposed");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId y = e("Gemm", {d.input(0), d.input(1), d.input(2)},
                  {{"alpha", alpha_},
                   {"beta", beta_},
                   {"transA", int64_t{trans_a_}},
                   {"transB", int64_t{trans_b_}}});
    d.set(0, activation_.emit(e, y));
  }

 protected:
  void check(const InferContext&) const override { activation_.check(); }

 private:
  NamedActivation activation_;
  float alpha_ = 1, beta_ = 1;
  bool trans_a_ = false, trans_b_ = false;
};

// Conv, then a sum with Z, then the activation.
class FusedConv final : public FunctionOp {
 public:
  Count operations(const CostContext& c) const override {
    return products_of(c, c.elements(1, 1), 2);
  }

  void attributes(AttributeVisitor& v) override {
    v.visit("activation", activation_, "what follows: Relu, Clip, LeakyRelu and others");
    v.visit("activation_params", params_, "its numbers");
    v.visit("auto_pad", auto_pad_, "NOTSET, SAME_UPPER, SAME_LOWER or VALID");
    v.visit("dilations", dilations_, "distance between the elements of a window");
    v.visit("group", group_, "groups of channels that are convolved apart");
    v.visit("kernel_shape", kernel_, "spatial lengths of W");
    v.visit("pads", pads_, "padding at all beginnings, then at all ends");
    v.visit("strides", strides_, "distance between windows");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    Attributes a{{"group", group_}, {"auto_pad", auto_pad_}};
    if (dilations_) a["dilations"] = *dilations_;
    if (kernel_) a["kernel_shape"] = *kernel_;
    if (pads_) a["pads"] = *pads_;
    if (strides_) a["strides"] = *strides_;
    ValueId y = e("Conv", {d.input(0), d.input(1), d.input(2)}, a);
    if (d.has_input(3)) y = e.add(y, d.input(3));
    std::vector<std::optional<float>> numbers;
    for (float number : params_.value_or(std::vector<float>())) numbers.emplace_back(number);
    d.set(0, emit_activation(e, activation_.value_or(""), numbers, y));
  }

 protected:
  void check(const InferContext& c) const override {
    size_t given = params_.value_or(std::vector<float>()).size(), wanted = 0;
    if (activation_ && !activation_->empty()) wanted = activation_form(*activation_).numbers.size();
    if (given > wanted) {
      c.reject("{} numbers of the activation '{}', which takes {}", given, activation_.value_or(""),
               wanted);
    }
  }

 private:
  std::optional<std::string> activation_;
  std::optional<std::vector<float>> params_;
  std::string auto_pad_ = "NOTSET";
  std::optional<std::vector<int64_t>> dilations_, kernel_, pads_, strides_;
  int64_t group_ = 1;
};

template <typename T>
void add_fused(OpRegistry& r, std::string_view name, std::string_view doc,
               std::vector<Param> inputs, DTypeSet types) {
  r.add<T>({.name = name,
            .domain = "com.microsoft",
            .doc = doc,
            .since = {1},
            .inputs = std::move(inputs),
            .outputs = {{"Y", "T"}},
            .types = {{"T", types}},
            .kind = OpKind::Product,
            .gradient = GradientState::Decompose,
            .decomposes = true});
}

}  // namespace

void register_microsoft_fused(OpRegistry& r) {
  constexpr DTypeSet plain = dtypes::floats - DTypeSet(DType::BFloat16);
  constexpr DTypeSet whole = {DType::Int32, DType::Int64, DType::UInt32, DType::UInt64};
  constexpr auto optional = Param::Kind::Optional;
  add_fused<FusedMatMul>(r, "FusedMatMul", "alpha op(A) op(B) over the last two axes",
                         {{"A", "T", InputRole::Weight}, {"B", "T", InputRole::Weight}},
                         dtypes::floats);
  add_fused<FusedMatMulActivation>(r, "FusedMatMulActivation", "FusedMatMul, then an activation",
                                   {{"A", "T", InputRole::Weight}, {"B", "T", InputRole::Weight}},
                                   dtypes::floats);
  add_fused<FusedGemm>(r, "FusedGemm", "Gemm, then an activation",
                       {{"A", "T", InputRole::Weight},
                        {"B", "T", InputRole::Weight},
                        {"C", "T", optional, InputRole::Bias}},
                       plain | whole);
  add_fused<FusedConv>(r, "FusedConv", "Conv, a sum, then an activation",
                       {{"X", "T"},
                        {"W", "T", InputRole::Weight},
                        {"B", "T", optional, InputRole::Bias},
                        {"Z", "T", optional}},
                       plain);
}

}  // namespace onnxrun
