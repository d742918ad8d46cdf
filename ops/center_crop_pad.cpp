// CenterCropPad.
#include "kernels/composed.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

class CenterCropPad final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axes", axes_, "axes that shape speaks of; all without");
  }

  void infer(InferContext& c) const override {
    std::optional<Shape> wanted = requested_lengths(c, 1);
    if (!c.shape(0)) return c.set_output(0, c.dtype(0));
    Shape shape = *c.shape(0);
    std::vector<int64_t> axes = checked_axes(c, axes_of(c.rank(0)), c.rank(0));
    if (wanted && wanted->size() != axes.size()) {
      c.reject("{} lengths for {} axes of {}", wanted->size(), axes.size(), c.describe_input(0));
    }
    for (size_t i = 0; i < axes.size(); ++i) {
      shape[static_cast<size_t>(axes[i])] = wanted ? (*wanted)[i] : Dim();
    }
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  // Padding by amounts that may be negative; halves are rounded towards zero.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0), wanted = e.b.cast(d.input(1), DType::Int64), axes = no_value;
    ValueId lengths = e.b.shape_of(x);
    if (axes_) {
      axes = e.b.ints(*axes_);
      lengths = e("Gather", {lengths, axes});
    }
    ValueId more = e.sub(wanted, lengths), begin = e.div(more, e.b.ints({2}));
    ValueId pads = e.concat({begin, e.sub(more, begin)});
    d.set(0, e("Pad", {x, pads, no_value, axes}));
  }

 private:
  std::vector<int64_t> axes_of(int64_t rank) const {
    if (axes_) return *axes_;
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < rank; ++i) axes.push_back(i);
    return axes;
  }

  std::optional<std::vector<int64_t>> axes_;
};

}  // namespace

void register_center_crop_pad(OpRegistry& r) {
  r.add<CenterCropPad>({.name = "CenterCropPad",
                        .doc = "axes cropped or padded with zeros, centred, to given lengths",
                        .since = {18},
                        .inputs = {{"input_data", "T"}, {"shape", "Tind"}},
                        .outputs = {{"output_data", "T"}},
                        .types = {{"T", dtypes::basic}, {"Tind", dtypes::index}},
                        .gradient = GradientState::Decompose,
                        .decomposes = true});
}

}  // namespace onnxrun
