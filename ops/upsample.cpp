// Upsample, which Resize has taken the place of.
#include <cmath>
#include <string>

#include "base/error.h"
#include "graph/upgrade_context.h"
#include "kernels/composed.h"
#include "kernels/resampling.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// Lengths that are counted exactly in double.
constexpr double max_upsampled_length = 9e15;

class Upsample final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override { v.visit("mode", mode_, "'nearest' or 'linear'"); }

  void infer(InferContext& c) const override {
    const Tensor* scales = c.constant(1);
    if (!c.shape(0) || !scales) return c.set_output(0, c.dtype(0), unknown(c));
    if (scales->size() != c.rank(0)) {
      c.reject("{} for {}", c.describe_input(1), c.describe_input(0));
    }
    Shape shape = *c.shape(0);
    std::vector<double> factors = to_doubles(*scales);
    for (size_t i = 0; i < shape.size(); ++i) {
      if (!(factors[i] >= 1) || !(factors[i] < max_upsampled_length)) {
        c.reject("a scale is {}, expected at least 1", factors[i]);
      }
      auto length = [&](int64_t n) {
        return static_cast<double>(
            std::floor(static_cast<float>(n) * static_cast<float>(factors[i])));
      };
      if (shape[i].is_known() && !(length(shape[i].value()) < max_upsampled_length)) {
        c.reject("a scale is {} for an axis of length {}", factors[i], shape[i].value());
      }
      shape[i] = shape[i].is_known() ? Dim(static_cast<int64_t>(length(shape[i].value()))) : Dim();
    }
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  void decompose(DecomposeContext& d) const override {
    d.set(0, d.add("Resize", {d.input(0), no_value, d.input(1)},
                   {{"coordinate_transformation_mode", std::string("asymmetric")},
                    {"mode", mode_ == "bilinear" ? "linear" : mode_},
                    {"nearest_mode", std::string("floor")}}));
  }

 private:
  static std::optional<Shape> unknown(const InferContext& c) {
    if (!c.shape(0)) return std::nullopt;
    return unknown_shape(c.rank(0));
  }

  std::string mode_ = "nearest";
};

// Scales were two attributes in opset 1, and one in 7.
void upgrade_upsample(UpgradeContext& u) {
  if (u.opset() >= 9) return;
  auto width = u.take<float>("width_scale"), height = u.take<float>("height_scale");
  auto scales = u.take<std::vector<float>>("scales");
  if (width && height) scales = {1, 1, *height, *width};
  if (!scales) fail(ErrorKind::BadModel, "the scales are missing");
  Tensor values = Tensor::of<float>({static_cast<int64_t>(scales->size())}, *scales);
  u.set_input(1, u.builder().constant(values));
  if (auto mode = u.take<std::string>("mode")) {
    u.attributes()["mode"] = *mode == "bilinear" ? "linear" : *mode;
  }
}

}  // namespace

void register_upsample(OpRegistry& r) {
  r.add<Upsample>({.name = "Upsample",
                   .doc = "Resize under its first name",
                   .since = {1, 7, 9, 10},
                   .inputs = {{"X", "T"}, {"scales", "tensor(float)", InputRole::Setting}},
                   .outputs = {{"Y", "T"}},
                   .types = {{"T", dtypes::basic - DTypeSet(DType::BFloat16)},
                             {"tensor(float)", DType::Float32}},
                   .gradient = GradientState::Decompose,
                   .decomposes = true,
                   .upgrade = upgrade_upsample});
}

}  // namespace onnxrun
