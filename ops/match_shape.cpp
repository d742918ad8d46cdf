// onnxrun.MatchShape: a target taken in the shape that its loss compares it with.
#include "base/unit_axes.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"

namespace onnxrun {

namespace {

class MatchShape final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "the axis of the output that the target lacks (default: none)");
  }

  void infer(InferContext& c) const override {
    if (!c.shape(1)) return c.set_output(0, c.dtype(0));
    Shape wanted = *c.shape(1);
    if (axis_) wanted.erase(wanted.begin() + normalize_axis(*axis_, c.rank(1)));
    if (c.shape(0)) check(c, wanted);
    c.set_output(0, c.dtype(0), std::move(wanted));
  }

  void gradient(GradientContext& g) const override {
    g.set(0, g.builder().reshape_like(g.grad(0), g.input(0)));
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    ValueId shape = b.shape_of(d.input(1));
    if (axis_) {
      int64_t axis = normalize_axis(*axis_, d.type(d.input(1)).rank());
      shape = b.add("Concat", {b.slice(shape, 0, 0, axis), b.slice(shape, 0, axis + 1, INT64_MAX)},
                    {{"axis", int64_t{0}}});
    }
    d.set(0, b.reshape(d.input(0), shape));
  }

  OpTraits traits() const override { return {.view = true}; }

 private:
  // Lengths without a number yet are checked when they have one.
  void check(const InferContext& c, const Shape& wanted) const {
    const Shape& given = *c.shape(0);
    if (!all_known(given) || !all_known(wanted)) return;
    if (without_unit_axes(given) == without_unit_axes(wanted)) return;
    if (axis_) {
      fail(ErrorKind::BadInput, "{}, expected {}: {}, whose axis {} counts the classes",
           c.describe_input(0), Type::tensor(c.dtype(0), wanted).to_string(), c.describe_input(1),
           *axis_);
    }
    fail(ErrorKind::BadInput,
         "{}, but {}: they differ by more than axes of length 1, and broadcasting has to be asked "
         "for (allow_broadcast, --allow-broadcast)",
         c.describe_input(0), c.describe_input(1));
  }

  std::optional<int64_t> axis_;
};

}  // namespace

void register_match_shape(OpRegistry& r) {
  r.add<MatchShape>({.name = "MatchShape",
                     .domain = private_domain,
                     .doc = "a target with the output's axes of length 1; other shapes are errors",
                     .since = {1},
                     .inputs = {{"target", "T"}, {"output", "Y"}},
                     .outputs = {{"matched", "T"}},
                     .types = {{"T", dtypes::numeric}, {"Y", dtypes::floats}},
                     .gradient = GradientState::Rule,
                     .decomposes = true});
}

}  // namespace onnxrun
