// What convolutions and their gradients share: attributes, checks, geometry.
#pragma once

#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/convolution.h"
#include "kernels/im2col.h"

namespace onnxrun {

struct ConvState final : KernelState {
  using KernelName = std::string_view (ConvPlan::*)() const;
  ConvState(ConvShape shape, KernelName which) : plan(std::move(shape)), name(which) {}
  std::string_view kernel() const override { return (plan.*name)(); }

  ConvPlan plan;
  KernelName name;  // of what is run by this plan
};

// The lengths behind images and channels.
inline Dims spatial(const Dims& dims) { return {dims.begin() + 2, dims.end()}; }
inline Shape spatial(const Shape& dims) { return {dims.begin() + 2, dims.end()}; }

class ConvFamily : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("auto_pad", window_.auto_pad, "NOTSET, SAME_UPPER, SAME_LOWER or VALID");
    v.visit("dilations", window_.dilations, "distance between the elements of a window");
    v.visit("group", group_, "groups of channels that are convolved apart");
    v.visit("kernel_shape", window_.kernel_shape, "spatial lengths of W");
    own_attributes(v);
    v.visit("pads", window_.pads, "padding at all beginnings, then at all ends");
    v.visit("strides", window_.strides, "distance between windows");
  }

 protected:
  virtual void own_attributes(AttributeVisitor&) {}

  // The attributes as a node of the family takes them, whatever its own are.
  Attributes window_attributes() const {
    Attributes a = {{"auto_pad", window_.auto_pad}, {"group", group_}};
    auto put = [&](const char* name, const auto& list) {
      if (list) a[name] = *list;
    };
    put("dilations", window_.dilations);
    put("pads", window_.pads);
    put("strides", window_.strides);
    return a;
  }

  // The rank of image and weight tensors as far as anything tells; checks what is known of it.
  std::optional<size_t> rank(const InferContext& c, std::initializer_list<size_t> inputs) const {
    std::optional<size_t> rank;
    if (auto axes = window_.rank()) rank = *axes + 2;
    for (size_t i : inputs) {
      const Shape* s = c.shape(i);
      if (!s) continue;
      if (s->size() < 3) c.reject("{}, expected at least one spatial axis", c.describe_input(i));
      if (rank && *rank != s->size()) {
        c.reject("{}, expected {} axes as the other inputs and attributes have",
                 c.describe_input(i), *rank);
      }
      rank = s->size();
    }
    if (rank) check_attributes(c, *rank - 2);
    return rank;
  }

  void check_attributes(const InferContext& c, size_t axes) const {
    if (axes > max_spatial_axes) {
      fail(ErrorKind::Unsupported, "{} spatial axes, at most {} are supported", axes,
           max_spatial_axes);
    }
    window_.check(axes);
    if (group_ < 1) c.reject("attribute 'group' is {}, expected at least 1", group_);
  }

  // Spatial lengths of W, of which `w` may know some.
  Shape kernel(const InferContext& c, size_t axes, const Shape* w) const {
    Shape k(axes);
    for (size_t i = 0; i < axes; ++i) {
      if (window_.kernel_shape) k[i] = (*window_.kernel_shape)[i];
      if (!w) continue;
      const Dim& given = (*w)[i + 2];
      if (window_.kernel_shape && given.is_known() && !(given == k[i])) {
        c.reject("attribute 'kernel_shape' says {} for axis {}, W has {}", k[i].to_string(), i + 2,
                 given.to_string());
      }
      if (given.is_known() && (given.value() < 1 || given.value() > INT32_MAX)) {
        c.reject("a kernel of {}", to_string(*w));
      }
      if (!window_.kernel_shape) k[i] = given;
    }
    return k;
  }

  static void check_equal(const InferContext& c, const char* what, const Dim& found,
                          const Dim& expected) {
    if (found.is_known() && expected.is_known() && !(found == expected)) {
      c.reject("{}: {}, expected {}", what, found.to_string(), expected.to_string());
    }
  }

  static void check_bias(const InferContext& c, const Shape& bias, const Dim& channels) {
    if (bias.size() != 1) c.reject("{}, expected one axis", c.describe_input(2));
    check_equal(c, "length of the bias", bias[0], channels);
  }

  // The shape of the convolution of input 0, of `rank` axes, by input `weight`; checks what is
  // known.
  Shape convolved_shape(const InferContext& c, size_t rank, size_t weight) const {
    return convolved_shape(c, rank, c.shape(0), c.shape(weight));
  }
  Shape convolved_shape(const InferContext& c, size_t rank, const Shape* x, const Shape* w) const {
    Shape k = kernel(c, rank - 2, w), y(rank);
    if (x && w) check_equal(c, "channels of X and of W times group", (*x)[1], (*w)[1] * group_);
    if (x) y[0] = (*x)[0];
    if (w) {
      y[1] = (*w)[0];
      check_equal(c, "W's output channels modulo group", y[1] - floor_div(y[1], group_) * group_,
                  0);
    }
    if (x) {
      Shape out = window_.output_shape(spatial(*x), k);
      std::copy(out.begin(), out.end(), y.begin() + 2);
    }
    return y;
  }

  // How X, W and Y (or their gradients) of these dims lie to each other.
  ConvShape shape_of(const Dims& x, const Dims& w) const {
    return {window_.resolve(spatial(x), spatial(w)), x[0], group_, w[1], w[0] / group_};
  }
  std::unique_ptr<ConvState> plan(const Dims& x, const Dims& w, ConvState::KernelName name) const {
    return std::make_unique<ConvState>(shape_of(x, w), name);
  }

  WindowAttributes window_;
  int64_t group_ = 1;
};

}  // namespace onnxrun
