// Identity, Reshape, Flatten, Squeeze, Unsqueeze: the elements stay, the shape changes.
#include <algorithm>

#include "graph/gradient_context.h"
#include "graph/quantized_form.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

class ViewOp : public Op {
 public:
  OpTraits traits() const override { return {.view = true, .noop_if_same_type = true}; }

  void gradient(GradientContext& g) const override {
    if (g.wants(0)) g.set(0, g.builder().reshape_like(g.grad(0), g.input(0)));
  }
};

class Identity final : public ViewOp {
 public:
  void infer(InferContext& c) const override {
    infer_same(c);
    if (auto content = c.content(0)) c.set_content(0, std::move(*content));
  }
  // Only values that are not tensors come here.
  void run(RunContext& c) const override { c.set_value(0, c.value(0)); }
  void gradient(GradientContext& g) const override { g.set(0, g.grad(0)); }
};

class Reshape final : public ViewOp, public WorksOnLevels {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("allowzero", allowzero_, "a 0 in the shape is a length, not a copy of the input's");
  }

  void infer(InferContext& c) const override {
    std::optional<Shape> wanted = requested_shape(c, 1);
    std::optional<Shape> result;
    if (wanted) result = resolve(c, *wanted);
    set_output_with_content(c, c.dtype(0), std::move(result));
  }

 private:
  static bool is(const Dim& d, int64_t value) { return d.is_known() && d.value() == value; }

  Shape resolve(const InferContext& c, const Shape& wanted) const {
    const Shape* in = c.shape(0);
    Shape result = wanted, rest = in ? *in : Shape{};
    std::optional<size_t> inferred;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (is(wanted[i], 0) && !allowzero_) {
        if (in && i >= in->size()) {
          c.reject("shape {} copies axis {} of {}", to_string(wanted), i, c.describe_input(0));
        }
        result[i] = in ? (*in)[i] : Dim();
      } else if (is(wanted[i], -1)) {
        if (inferred) c.reject("shape {} has more than one -1", to_string(wanted));
        inferred = i;
      } else if (wanted[i].is_known() && wanted[i].value() < 0) {
        c.reject("shape {} has a negative length", to_string(wanted));
      }
    }
    bool empty = std::any_of(wanted.begin(), wanted.end(), [](const Dim& d) { return is(d, 0); });
    if (allowzero_ && inferred && empty) {
      c.reject("shape {} has a length 0 and a -1", to_string(wanted));
    }
    if (!in) {
      if (inferred) result[*inferred] = Dim();
      return result;
    }
    if (inferred) {
      result[*inferred] = infer_length(c, result, *inferred);
    } else {
      check_size(c, result);
    }
    return result;
  }

  // The input's size over that of all other axes. Equal lengths cancel first: so the answer is
  // there for symbolic lengths, and for those that are 0.
  Dim infer_length(const InferContext& c, const Shape& result, size_t inferred) const {
    Shape above = *c.shape(0), below;
    for (size_t i = 0; i < result.size(); ++i) {
      if (i == inferred) continue;
      auto equal = std::find(above.begin(), above.end(), result[i]);
      if (equal != above.end()) {
        above.erase(equal);
      } else {
        below.push_back(result[i]);
      }
    }
    Dim total = element_count(above), others = element_count(below);
    if (!others.is_known() || !total.is_known()) return floor_div_or_unknown(total, others);
    if (others.value() == 0 || total.value() % others.value() != 0) {
      c.reject("{} does not fit shape {}", c.describe_input(0), to_string(*requested_shape(c, 1)));
    }
    return Dim(total.value() / others.value());
  }

  static Dim floor_div_or_unknown(const Dim& a, const Dim& b) {
    return is(b, 0) ? Dim() : floor_div(a, b);
  }

  void check_size(const InferContext& c, const Shape& result) const {
    if (!all_known(*c.shape(0)) || !all_known(result)) return;
    if (element_count(to_dims(*c.shape(0))) != element_count(to_dims(result))) {
      c.reject("{} does not fit shape {}", c.describe_input(0), to_string(result));
    }
  }

  bool allowzero_ = false;
};

class Flatten final : public ViewOp, public WorksOnLevels {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "the first axis that goes into the second dimension");
  }

  void infer(InferContext& c) const override {
    Shape result(2);
    if (const Shape* in = c.shape(0)) {
      int64_t rank = c.rank(0);
      int64_t axis = axis_ == rank ? rank : checked_axis(c, axis_, rank);
      result = {element_count(Shape(in->begin(), in->begin() + axis)),
                element_count(Shape(in->begin() + axis, in->end()))};
    }
    c.set_output(0, c.dtype(0), std::move(result));
  }

 private:
  int64_t axis_ = 1;
};

class Squeeze final : public ViewOp, public WorksOnLevels {
 public:
  void infer(InferContext& c) const override {
    set_output_with_content(c, c.dtype(0), c.shape(0) ? squeezed(c, *c.shape(0)) : std::nullopt);
  }

 private:
  static std::optional<Shape> squeezed(const InferContext& c, const Shape& in) {
    std::vector<bool> gone(in.size(), false);
    if (!c.has_input(1)) {
      if (!all_known(in)) return std::nullopt;
      for (size_t i = 0; i < in.size(); ++i) gone[i] = in[i].value() == 1;
    } else if (auto axes = c.ints(1)) {
      for (int64_t axis : checked_axes(c, *axes, c.rank(0))) {
        const Dim& length = in[static_cast<size_t>(axis)];
        if (length.is_known() && length.value() != 1) {
          c.reject("axis {} has length {}, only those of length 1 can go: {}", axis, length.value(),
                   c.describe_input(0));
        }
        gone[static_cast<size_t>(axis)] = true;
      }
    } else {
      auto count = list_length(c, 1);
      if (count && *count > c.rank(0)) {
        c.reject("{} axes are given for {}", *count, c.describe_input(0));
      }
      // A shape without axes would be one whose lengths are all known, and nobody would look at
      // the axes once they are.
      if (!count || *count == c.rank(0)) return std::nullopt;
      return unknown_shape(c.rank(0) - *count);
    }
    Shape result;
    for (size_t i = 0; i < in.size(); ++i) {
      if (!gone[i]) result.push_back(in[i]);
    }
    return result;
  }
};

class Unsqueeze final : public ViewOp, public WorksOnLevels {
 public:
  void infer(InferContext& c) const override {
    set_output_with_content(c, c.dtype(0), c.shape(0) ? unsqueezed(c, *c.shape(0)) : std::nullopt);
  }

 private:
  static std::optional<Shape> unsqueezed(const InferContext& c, const Shape& in) {
    auto axes = c.ints(1);
    if (!axes) {
      auto count = list_length(c, 1);
      if (!count || *count > 64) return std::nullopt;
      return unknown_shape(c.rank(0) + *count);
    }
    int64_t rank = c.rank(0) + static_cast<int64_t>(axes->size());
    std::vector<bool> added(static_cast<size_t>(rank), false);
    for (int64_t axis : checked_axes(c, *axes, rank)) added[static_cast<size_t>(axis)] = true;
    Shape result;
    auto next = in.begin();
    for (bool one : added) result.push_back(one ? Dim(1) : *next++);
    return result;
  }
};

// Opsets 1 to 4: the shape is an attribute.
void upgrade_reshape(UpgradeContext& u) {
  u.take<std::vector<int64_t>>("consumed_inputs");
  u.attribute_to_input("shape", 1);
}

// Before opset 13 the axes are an attribute.
void upgrade_axes(UpgradeContext& u) { u.attribute_to_input("axes", 1); }

constexpr auto every_dtype = dtypes::all;

}  // namespace

void register_views(OpRegistry& r) {
  r.add<Identity>({.name = "Identity",
                   .doc = "the input itself",
                   .since = {1, 13, 14, 16, 19, 21, 23, 24, 25},
                   .inputs = {{"input", "V"}},
                   .outputs = {{"output", "V"}},
                   .types = {{"V", every_dtype, dtypes::basic - DTypeSet(DType::BFloat16),
                              dtypes::basic - DTypeSet(DType::BFloat16)}},
                   .kind = OpKind::Move});
  r.add<Reshape>({.name = "Reshape",
                  .doc = "the elements in another shape; one -1 is worked out, 0 copies a length",
                  .since = {1, 5, 13, 14, 19, 21, 23, 24, 25},
                  .inputs = {{"data", "T"}, {"shape", "tensor(int64)", InputRole::Setting}},
                  .outputs = {{"reshaped", "T"}},
                  .types = {{"T", every_dtype}, {"tensor(int64)", DType::Int64}},
                  .kind = OpKind::Move,
                  .upgrade = upgrade_reshape});
  r.add<Flatten>({.name = "Flatten",
                  .doc = "a matrix: the axes before `axis`, and those from it on",
                  .since = {1, 9, 11, 13, 21, 23, 24, 25},
                  .inputs = {{"input", "T"}},
                  .outputs = {{"output", "T"}},
                  .types = {{"T", every_dtype}},
                  .kind = OpKind::Move});
  r.add<Squeeze>({.name = "Squeeze",
                  .doc = "drops axes of length 1",
                  .since = {1, 11, 13, 21, 23, 24, 25},
                  .inputs = {{"data", "T"},
                             {"axes", "tensor(int64)", Param::Kind::Optional, InputRole::Setting}},
                  .outputs = {{"squeezed", "T"}},
                  .types = {{"T", every_dtype}, {"tensor(int64)", DType::Int64}},
                  .kind = OpKind::Move,
                  .upgrade = upgrade_axes});
  r.add<Unsqueeze>({.name = "Unsqueeze",
                    .doc = "adds axes of length 1",
                    .since = {1, 11, 13, 21, 23, 24, 25},
                    .inputs = {{"data", "T"}, {"axes", "tensor(int64)", InputRole::Setting}},
                    .outputs = {{"expanded", "T"}},
                    .types = {{"T", every_dtype}, {"tensor(int64)", DType::Int64}},
                    .kind = OpKind::Move,
                    .upgrade = upgrade_axes});
}

}  // namespace onnxrun
