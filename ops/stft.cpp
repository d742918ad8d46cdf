// STFT.
#include "kernels/composed.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

class Stft final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("onesided", onesided_, "of real signals half of each spectrum");
  }

  void infer(InferContext& c) const override {
    const Shape *x = c.shape(0), *window = c.has_input(2) ? c.shape(2) : nullptr;
    // Exporters leave out the last axis of real signals, and ONNX Runtime takes them.
    if (x && x->size() != 2 && x->size() != 3) {
      c.reject("{}, expected [batch, signal, 1 or 2]", c.describe_input(0));
    }
    if (x && x->size() == 3 && (*x)[2].is_known()) {
      int64_t parts = (*x)[2].value();
      if (parts != 1 && (parts != 2 || onesided_)) {
        c.reject("{}, expected [batch, signal, 1{}]", c.describe_input(0),
                 onesided_ ? "] where it is onesided" : " or 2");
      }
    }
    if (window && window->size() != 1) c.reject("{}, expected a list", c.describe_input(2));
    Dim signal = x ? (*x)[1] : Dim(), step = number(c, 1), length = signal;
    if (c.has_input(3)) {
      length = number(c, 3);
      if (window && length.is_known() && (*window)[0].is_known() && !(length == (*window)[0])) {
        c.reject("frame_length is {}, but {}", length.to_string(), c.describe_input(2));
      }
      if (window && !length.is_known()) length = (*window)[0];
    } else if (c.has_input(2)) {
      length = window ? (*window)[0] : Dim();
    }
    check(c, signal, step, length);
    Dim frames = step.is_known() ? floor_div(signal - length, step) + Dim(1) : Dim();
    Dim bins = onesided_ ? floor_div(length, Dim(2)) + Dim(1) : length;
    c.set_output(0, c.dtype(0), Shape{x ? (*x)[0] : Dim(), frames, bins, 2});
  }

  // All frames side by side, by the window, transformed.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0), step = list(e, d.input(1)), length = e.dim(x, 1);
    if (d.has_input(3)) {
      length = list(e, d.input(3));
    } else if (d.has_input(2)) {
      length = e.dim(d.input(2), 0);
    }
    ValueId frames = e.add(e.div(e.sub(e.dim(x, 1), length), step), e.b.ints({1}));
    ValueId starts = e.b.unsqueeze(e.mul(e.range(frames), step), {1});
    if (e.b.rank(x) == 2) x = e.b.unsqueeze(x, {2});
    ValueId framed = e("Gather", {x, e.add(starts, e.range(length))}, {{"axis", int64_t{1}}});
    if (d.has_input(2)) framed = e.mul(framed, e.b.unsqueeze(d.input(2), {1}));
    d.set(0, e("DFT", {framed}, {{"onesided", int64_t{onesided_}}}));
  }

 private:
  static ValueId list(const Emit& e, ValueId number) {
    return e.b.reshape(e.b.cast(number, DType::Int64), e.b.ints({1}));
  }

  static Dim number(const InferContext& c, size_t i) {
    auto content = c.content(i);
    if (!content) return {};
    if (content->size() != 1) c.reject("{}, expected one number", c.describe_input(i));
    return (*content)[0];
  }

  static void check(const InferContext& c, const Dim& signal, const Dim& step, const Dim& length) {
    if (step.is_known() && step.value() < 1) c.reject("frame_step is {}", step.to_string());
    if (length.is_known() && length.value() < 1) c.reject("a frame's length is {}", length.value());
    if (signal.is_known() && length.is_known() && signal.value() < length.value()) {
      c.reject("{} is shorter than a frame of {}", c.describe_input(0), length.value());
    }
  }

  bool onesided_ = true;
};

}  // namespace

void register_stft(OpRegistry& r) {
  r.add<Stft>({.name = "STFT",
               .doc = "the Fourier transforms of windows that slide over a signal",
               .since = {17},
               .inputs = {{"signal", "T1"},
                          {"frame_step", "T2"},
                          {"window", "T1", Param::Kind::Optional},
                          {"frame_length", "T2", Param::Kind::Optional}},
               .outputs = {{"output", "T1"}},
               .types = {{"T1", dtypes::floats}, {"T2", dtypes::index}},
               .gradient = GradientState::Decompose,
               .decomposes = true});
}

}  // namespace onnxrun
