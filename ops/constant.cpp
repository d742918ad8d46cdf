// Constant, ConstantOfShape.
#include <algorithm>

#include "graph/run_context.h"
#include "kernels/data_movement.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

class Constant final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("sparse_value", sparse_value_, "the value, filled up with zeros");
    v.visit("value", value_, "the value");
    v.visit("value_float", value_float_, "the value, a scalar");
    v.visit("value_floats", value_floats_, "the value, a list");
    v.visit("value_int", value_int_, "the value, a scalar");
    v.visit("value_ints", value_ints_, "the value, a list");
    v.visit("value_string", value_string_, "the value, a scalar");
    v.visit("value_strings", value_strings_, "the value, a list");
  }

  void infer(InferContext& c) const override {
    Tensor t = value(c);
    c.set_output(0, t.dtype(), to_shape(t.dims()));
    if (dtypes::index.contains(t.dtype()) && t.rank() <= 1 && t.size() <= 64) {
      c.set_content(0, to_shape(to_int64s(t)));
    }
  }

  std::unique_ptr<KernelState> prepare(PrepareContext&) const override {
    auto state = std::make_unique<Value>();
    state->tensor = *given();
    return state;
  }

  void run(RunContext& c) const override { copy_elements(c.state<Value>().tensor, c.output(0)); }

 private:
  struct Value final : KernelState {
    Tensor tensor;
  };

  template <typename T>
  static Tensor list(const std::vector<T>& values) {
    return Tensor::of<T>({static_cast<int64_t>(values.size())}, values);
  }

  int count() const {
    return value_.has_value() + sparse_value_.has_value() + value_float_.has_value() +
           value_floats_.has_value() + value_int_.has_value() + value_ints_.has_value() +
           value_string_.has_value() + value_strings_.has_value();
  }

  std::optional<Tensor> given() const {
    if (value_) return value_;
    if (sparse_value_) return sparse_value_;
    if (value_float_) return Tensor::scalar(*value_float_);
    if (value_floats_) return list(*value_floats_);
    if (value_int_) return Tensor::scalar(*value_int_);
    if (value_ints_) return list(*value_ints_);
    if (value_string_) return Tensor::scalar(*value_string_);
    if (value_strings_) return list(*value_strings_);
    return std::nullopt;
  }

  Tensor value(const InferContext& c) const {
    if (count() != 1) c.reject("{} value attributes are given, expected one", count());
    return *given();
  }

  std::optional<Tensor> value_, sparse_value_;
  std::optional<float> value_float_;
  std::optional<std::vector<float>> value_floats_;
  std::optional<int64_t> value_int_;
  std::optional<std::vector<int64_t>> value_ints_;
  std::optional<std::string> value_string_;
  std::optional<std::vector<std::string>> value_strings_;
};

constexpr DTypeSet fillable = dtypes::all - dtypes::complexes - DTypeSet(DType::String);

class ConstantOfShape final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("value", value_, "a tensor of one element, which all elements of the output equal");
  }

  void infer(InferContext& c) const override {
    if (value_.size() != 1 || !fillable.contains(value_.dtype())) {
      c.reject("'value' is {}, expected one number", value_.type_text());
    }
    std::optional<Shape> shape = requested_lengths(c, 0);
    bool list = shape && shape->size() <= 1 && dtypes::index.contains(value_.dtype());
    int64_t length = -1;
    if (list) length = shape->empty() ? 1 : (*shape)[0].is_known() ? (*shape)[0].value() : -1;
    c.set_output(0, value_.dtype(), std::move(shape));
    if (length >= 0 && length <= 64) {
      c.set_content(0, Shape(static_cast<size_t>(length), Dim(to_int64s(value_)[0])));
    }
  }

  void run(RunContext& c) const override {
    Tensor& out = c.output(0);
    int64_t n = out.size();
    if (is_packed(out.dtype())) {
      int bits = bits_of(out.dtype());
      uint8_t element = packed_bits(value_.raw(), 0, bits);
      std::fill_n(out.raw(), out.bytes(), std::byte{0});
      for (int64_t i = 0; i < n; ++i) set_packed_bits(out.raw(), i, bits, element);
      return;
    }
    dispatch_storage(out.dtype(),
                     [&]<typename T>() { std::fill_n(storage<T>(out), n, *storage<T>(value_)); });
  }

 private:
  Tensor value_ = Tensor::of<float>({1}, {0.0f});
};

}  // namespace

void register_constant(OpRegistry& r) {
  r.add<Constant>({.name = "Constant",
                   .doc = "a constant",
                   .since = {1, 9, 11, 12, 13, 19, 21, 23, 24, 25},
                   .inputs = {},
                   .outputs = {{"output", "T"}},
                   .types = {{"T", dtypes::all}},
                   .gradient = GradientState::NotDifferentiable});
  r.add<ConstantOfShape>({.name = "ConstantOfShape",
                          .doc = "a tensor of the given shape, filled with one value",
                          .since = {9, 20, 21, 23, 24, 25},
                          .inputs = {{"input", "T1"}},
                          .outputs = {{"output", "T2"}},
                          .types = {{"T1", DType::Int64}, {"T2", fillable}},
                          .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
