// What pools and their gradients share: attributes, shapes, geometry.
#pragma once

#include <optional>

#include "graph/cost.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/padded_plane.h"
#include "kernels/pooling.h"

namespace onnxrun {

struct PoolState final : KernelState, PoolPlan {
  std::string_view kernel() const override { return name; }

  std::string_view name;
};

class PoolFamily : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("auto_pad", window_.auto_pad, "NOTSET, SAME_UPPER, SAME_LOWER or VALID");
    v.visit("ceil_mode", window_.ceil_mode, "a last window may reach beyond the padding");
    v.visit("dilations", window_.dilations, "distance between the elements of a window");
    v.required("kernel_shape", window_.kernel_shape, "lengths of a window");
    v.visit("pads", window_.pads, "padding at all beginnings, then at all ends");
    v.visit("strides", window_.strides, "distance between windows");
    own_attributes(v);
  }

 protected:
  // Most of a larger one would be padding: work without end on little data.
  static constexpr int64_t largest_window = 1 << 24;

  virtual void own_attributes(AttributeVisitor&) {}

  Attributes window_attributes() const {
    Attributes a = {{"auto_pad", window_.auto_pad}, {"ceil_mode", int64_t{window_.ceil_mode}}};
    auto put = [&](const char* name, const auto& list) {
      if (list) a[name] = *list;
    };
    put("dilations", window_.dilations);
    put("kernel_shape", window_.kernel_shape);
    put("pads", window_.pads);
    put("strides", window_.strides);
    return a;
  }

  // The shape that a pool of X has; its rank comes from the attributes if X's is unknown.
  Shape pooled(const InferContext& c, const Shape* x) const {
    size_t axes = window_.kernel_shape->size();
    if (axes == 0 || axes > max_spatial_axes) {
      c.reject("attribute 'kernel_shape' has {} elements, expected 1 to {}", axes,
               max_spatial_axes);
    }
    window_.check(axes);
    if (int64_t size = element_count(*window_.kernel_shape); size > largest_window) {
      fail(ErrorKind::Limit, "a window of {} elements, at most {} are supported", size,
           largest_window);
    }
    if (!x) return Shape(axes + 2);
    if (x->size() != axes + 2) {
      c.reject("a window of {} axes, but X has {} spatial axes", axes,
               static_cast<int64_t>(x->size()) - 2);
    }
    Shape y = window_.output_shape({x->begin() + 2, x->end()},
                                   {window_.kernel_shape->begin(), window_.kernel_shape->end()});
    y.insert(y.begin(), {(*x)[0], (*x)[1]});
    return y;
  }

  // One for each element of each window.
  Count window_operations(const CostContext& c) const {
    return c.output_elements() * element_count(*window_.kernel_shape);
  }

  // For an X of these dims.
  std::unique_ptr<PoolState> plan(const Dims& x) const {
    auto state = std::make_unique<PoolState>();
    Dims in(x.begin() + 2, x.end());
    state->walk = PlaneWalk(window_.resolve(in, *window_.kernel_shape));
    state->planes = element_count(Dims{x[0], x[1]});
    return state;
  }

  WindowAttributes window_;
};

// [N, C, 1, ...] for an input of [N, C, ...].
void infer_global_pool(InferContext& c);

}  // namespace onnxrun
