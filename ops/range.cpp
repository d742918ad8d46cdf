// Range.
#include <cmath>

#include "graph/gradient_context.h"
#include "graph/run_context.h"
#include "kernels/scalar.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

class RangeOp final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("stash_type", stash_type_, "the type that float16 and bfloat16 are computed in");
  }

  bool types_an_output(std::string_view, const Node&) const override { return false; }

  void infer(InferContext& c) const override {
    if (stash_type_ != DType::Float32 && stash_type_ != DType::Float64) {
      c.reject("stash_type is {}, expected float or double", to_string(stash_type_));
    }
    auto start = c.content(0), limit = c.content(1), delta = c.content(2);
    if (start && limit && delta && start->size() == 1 && limit->size() == 1 && delta->size() == 1) {
      infer_integers(c, (*start)[0], (*limit)[0], (*delta)[0]);
    } else if (c.constant(0) && c.constant(1) && c.constant(2)) {
      set_length(c, length_of(*c.constant(0), *c.constant(1), *c.constant(2)));
    } else {
      set_length(c, Dim());
    }
  }

  void run(RunContext& c) const override {
    Tensor& out = c.output(0);
    dispatch<float, double, int64_t, int32_t, int16_t, float16, bfloat16>(
        out.dtype(), [&]<typename T>() {
          using C = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
          auto start = static_cast<C>(*c.input(0).data<T>()),
               delta = static_cast<C>(*c.input(2).data<T>());
          T* y = out.data<T>();
          for (int64_t i = 0; i < out.size(); ++i) y[i] = to<T>(start + static_cast<C>(i) * delta);
        });
  }

  // y_i = start + i delta
  void gradient(GradientContext& g) const override {
    auto sum = [&](ValueId v, size_t like) {
      return g.builder().reshape_like(g.add("ReduceSum", {v}, {{"keepdims", int64_t{0}}}),
                                      g.input(like));
    };
    if (g.wants(0)) g.set(0, sum(g.grad(0), 0));
    if (!g.wants(2)) return;
    GraphBuilder& b = g.builder();
    ValueId places =
        b.add("Range", {b.int_scalar(0), b.add("Size", {g.output(0)}), b.int_scalar(1)});
    g.set(2, sum(g.mul(g.grad(0), b.cast(places, g.dtype(g.grad(0)))), 2));
  }

 private:
  template <typename T, typename C>
  static T to(C value) {
    if constexpr (std::is_same_v<T, ComputeType<T>>) {
      return static_cast<T>(value);
    } else {
      return T(static_cast<float>(value));
    }
  }

  static void set_length(InferContext& c, Dim length) {
    c.set_output(0, c.dtype(0), Shape{length});
  }

  static int64_t length_of(int64_t start, int64_t limit, int64_t delta) {
    if (delta == 0) fail(ErrorKind::BadModel, "delta is 0");
    if (delta > 0 ? limit <= start : limit >= start) return 0;
    // Unsigned differences cannot overflow.
    auto from = static_cast<uint64_t>(start), to = static_cast<uint64_t>(limit);
    auto step = static_cast<uint64_t>(delta);
    uint64_t count = ((delta > 0 ? to - from : from - to) - 1) / (delta > 0 ? step : 0 - step) + 1;
    if (count > static_cast<uint64_t>(INT64_MAX)) {
      fail(ErrorKind::Limit, "{} elements are too many", count);
    }
    return static_cast<int64_t>(count);
  }

  static int64_t length_of(const Tensor& start, const Tensor& limit, const Tensor& delta) {
    if (is_integer(start.dtype())) {
      return length_of(scalar_of<int64_t>(start, "start"), scalar_of<int64_t>(limit, "limit"),
                       scalar_of<int64_t>(delta, "delta"));
    }
    auto from = scalar_of<double>(start, "start"), to = scalar_of<double>(limit, "limit");
    auto step = scalar_of<double>(delta, "delta");
    double length = std::ceil((to - from) / step);
    if (step == 0 || std::isnan(length)) {
      fail(ErrorKind::BadModel, "no range goes from {} to {} by {}", from, to, step);
    }
    if (length >= 0x1p62) fail(ErrorKind::Limit, "{} elements are too many", length);
    return length < 0 ? 0 : static_cast<int64_t>(length);
  }

  static void infer_integers(InferContext& c, const Dim& start, const Dim& limit,
                             const Dim& delta) {
    if (!start.is_known() || !limit.is_known() || !delta.is_known()) {
      bool upwards = delta.is_known() && delta.value() > 0;
      return set_length(c, upwards ? ceil_div(limit - start, delta) : Dim());
    }
    int64_t length = length_of(start.value(), limit.value(), delta.value());
    set_length(c, length);
    if (length > 64) return;
    Shape elements;
    // Unsigned numbers pass the whole of the range on the way to an element.
    auto first = static_cast<uint64_t>(start.value()), step = static_cast<uint64_t>(delta.value());
    for (int64_t i = 0; i < length; ++i) {
      elements.push_back(Dim(static_cast<int64_t>(first + static_cast<uint64_t>(i) * step)));
    }
    c.set_content(0, std::move(elements));
  }

  DType stash_type_ = DType::Float32;
};

}  // namespace

void register_range(OpRegistry& r) {
  r.add<RangeOp>(
      {.name = "Range",
       .doc = "numbers from start up to (not including) limit, delta apart",
       .since = {11, 27},
       .inputs = {{"start", "T", InputRole::Setting},
                  {"limit", "T", InputRole::Setting},
                  {"delta", "T", InputRole::Setting}},
       .outputs = {{"output", "T"}},
       .types = {{"T", dtypes::floats | DTypeSet{DType::Int16, DType::Int32, DType::Int64}}}});
}

}  // namespace onnxrun
