// DeformConv.
#include "emit/sampling.h"
#include "graph/cost.h"
#include "kernels/shape_rules.h"
#include "kernels/window.h"

namespace onnxrun {

namespace {

constexpr int64_t max_step = int64_t{1} << 31;

// Dai et al. 2017, "Deformable convolutional networks"; the mask is that of Zhu et al. 2018.
class DeformConv final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("dilations", dilations_, "distance of a kernel's elements on each axis");
    v.visit("group", group_, "groups of channels that see each other only");
    v.visit("kernel_shape", kernel_, "that of W, which says it too");
    v.visit("offset_group", offset_group_, "groups of channels that share offsets");
    v.visit("pads", pads_, "padding before all axes, then behind all");
    v.visit("strides", strides_, "distance of windows on each axis");
  }

  Count operations(const CostContext& c) const override {
    return products_of(c, c.elements(1, 1), 3);
  }

  void infer(InferContext& c) const override {
    if (group_ < 1 || offset_group_ < 1) {
      c.reject("group is {}, offset_group {}, expected 1 or more", group_, offset_group_);
    }
    const Shape *x = c.shape(0), *w = c.shape(1), *offset = c.shape(2);
    const Shape* known = x ? x : w ? w : offset;
    if (!known) return c.set_output(0, c.dtype(0));
    size_t rank = known->size();
    if (rank < 3) c.reject("an image has {} axes, expected 3 or more", rank);
    for (size_t i = 0; i < 3; ++i) {
      if (c.shape(i) && c.shape(i)->size() != rank) {
        c.reject("{} does not go with an input of {} axes", c.describe_input(i), rank);
      }
    }
    check_attributes(c, rank - 2);
    Shape y(rank);
    if (x) y[0] = (*x)[0];
    if (w) y[1] = (*w)[0];
    if (x && w) set_lengths(c, *x, *w, y);
    if (w) check_channels(c, x, *w);
    if (offset) check_offsets(c, y, w);
    c.set_output(0, c.dtype(0), std::move(y));
  }

  // The columns of an ordinary convolution, but each element sampled where its offset says.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    DType type = d.dtype(d.input(0)), wide = sampling_type(type, type);
    ValueId x = e.b.cast(d.input(0), wide), w = e.b.cast(d.input(1), wide),
            offset = e.b.cast(d.input(2), wide);
    const Type weights = e.b.type(w);
    if (!weights.shape) fail(ErrorKind::Unsupported, "the number of axes is not known");
    Dims kernel;
    for (size_t i = 2; i < weights.shape->size(); ++i) {
      const Dim& k = (*weights.shape)[i];
      if (!k.is_known() && !kernel_) fail(ErrorKind::Unsupported, "the kernel is not known");
      kernel.push_back(k.is_known() ? k.value() : (*kernel_)[i - 2]);
    }
    auto axes = static_cast<int64_t>(kernel.size());
    int64_t taps = element_count(kernel);
    ValueId groups = e.b.ints({offset_group_}), out = e.dims(offset, 2);
    ValueId images = e.mul(e.dim(x, 0), groups), windows = e.product(out);
    ValueId places = e.mul(windows, e.b.ints({taps}));
    ValueId moved =
        e.b.reshape(offset, e.concat({images, e.b.ints({taps}), e.b.ints({axes}), windows}));
    std::vector<ValueId> at;
    for (int64_t a = 0; a < axes; ++a) {
      ValueId by = e.b.squeeze(e.b.slice(moved, 2, a, a + 1), {2});
      at.push_back(e.b.reshape(e.add(by, e.b.cast(regular(e, out, kernel, a), wide)),
                               e.concat({images, places})));
    }
    ValueId parts =
        e.b.reshape(x, e.concat({images, e("Div", {e.dim(x, 1), groups}), e.dims(x, 2)}));
    ValueId columns = emit_samples(e, parts, at, {});
    if (d.has_input(4)) {
      ValueId mask = e.b.cast(d.input(4), wide);
      columns = e.mul(columns, e.b.reshape(mask, e.concat({images, e.b.ints({1}), places})));
    }
    d.set(0, e.b.cast(product(e, d, x, w, columns, out, taps), type));
  }

 private:
  using List = std::optional<std::vector<int64_t>>;

  static int64_t at(const List& list, size_t i, int64_t otherwise) {
    return list ? (*list)[i] : otherwise;
  }

  void check_attributes(const InferContext& c, size_t axes) const {
    auto check = [&](const List& list, const char* name, size_t count, int64_t lowest) {
      if (!list) return;
      bool good = list->size() == count && std::all_of(list->begin(), list->end(), [&](int64_t v) {
                    return v >= lowest && v <= max_step;
                  });
      if (!good) {
        c.reject("attribute '{}' is {}, expected {} numbers from {} on", name, to_string(*list),
                 count, lowest);
      }
    };
    check(strides_, "strides", axes, 1);
    check(dilations_, "dilations", axes, 1);
    check(pads_, "pads", 2 * axes, 0);
    check(kernel_, "kernel_shape", axes, 1);
  }

  void set_lengths(const InferContext& c, const Shape& x, const Shape& w, Shape& y) const {
    for (size_t i = 0; i + 2 < x.size(); ++i) {
      const Dim& k = w[i + 2];
      if (kernel_ && k.is_known() && !(k == Dim((*kernel_)[i]))) {
        c.reject("kernel_shape is {}, but {}", to_string(*kernel_), c.describe_input(1));
      }
      if (!k.is_known()) continue;
      if (k.value() < 1 || k.value() > max_step) c.reject("{} is no kernel", c.describe_input(1));
      int64_t extent = (k.value() - 1) * at(dilations_, i, 1) + 1;
      Dim room = x[i + 2] + Dim(at(pads_, i, 0) + at(pads_, x.size() - 2 + i, 0) - extent);
      if (x[i + 2] == Dim(0)) c.reject("{} has no pixels", c.describe_input(0));
      if (room.is_known() && room.value() < 0) {
        c.reject("{} is smaller than the kernel {}", c.describe_input(0), c.describe_input(1));
      }
      y[i + 2] = floor_div(room, Dim(at(strides_, i, 1))) + Dim(1);
    }
  }

  void check_channels(const InferContext& c, const Shape* x, const Shape& w) const {
    bool good = !w[0].is_known() || w[0].value() % group_ == 0;
    if (x && (*x)[1].is_known()) {
      int64_t channels = (*x)[1].value();
      good = good && channels % offset_group_ == 0 && channels % group_ == 0 &&
             (!w[1].is_known() || w[1].value() == channels / group_);
    }
    if (!good) {
      c.reject("{} does not go with {} and group {}, offset_group {}", c.describe_input(1),
               c.describe_input(0), group_, offset_group_);
    }
    if (c.has_input(3) && !compatible(c.type(3), Type::tensor(c.dtype(3), Shape{w[0]}))) {
      c.reject("{} does not go with {}", c.describe_input(3), c.describe_input(1));
    }
  }

  // Offsets and mask have the output's lengths; what the offsets have tells those that are open.
  void check_offsets(const InferContext& c, Shape& y, const Shape* w) const {
    const Shape& offset = *c.shape(2);
    Dim taps;
    if (w) taps = element_count(Shape(w->begin() + 2, w->end())) * Dim(offset_group_);
    auto check = [&](size_t input, const Dim& channels) {
      Shape expected = y;
      expected[1] = channels;
      if (!compatible(c.type(input), Type::tensor(c.dtype(0), expected))) {
        c.reject("{}, expected {}", c.describe_input(input), to_string(expected));
      }
    };
    check(2, taps * Dim(static_cast<int64_t>(y.size()) - 2));
    if (c.has_input(4)) check(4, taps);
    for (size_t i = 2; i < y.size(); ++i) {
      if (!y[i].is_known()) y[i] = offset[i];
    }
  }

  // Where axis `a` of an ordinary convolution looks, as [1, taps, windows].
  ValueId regular(const Emit& e, ValueId out, const Dims& kernel, int64_t a) const {
    auto axis = static_cast<size_t>(a);
    int64_t inner = 1, taps = element_count(kernel);
    for (size_t i = axis + 1; i < kernel.size(); ++i) inner *= kernel[i];
    std::vector<int64_t> within;
    for (int64_t k = 0; k < taps; ++k) {
      within.push_back(k / inner % kernel[axis] * at(dilations_, axis, 1) - at(pads_, axis, 0));
    }
    std::vector<int64_t> others;
    for (size_t i = 0; i < kernel.size(); ++i) {
      if (i != axis) others.push_back(static_cast<int64_t>(i));
    }
    ValueId along =
        e.mul(e.range(e.b.slice(out, 0, a, a + 1)), e.b.int_scalar(at(strides_, axis, 1)));
    if (!others.empty()) along = e.b.unsqueeze(along, others);
    ValueId starts = e.b.reshape(e("Expand", {along, out}), e.b.ints({-1}));
    return e.add(e.b.unsqueeze(starts, {0}),
                 e.b.constant(Tensor::of<int64_t>({1, taps, 1}, within)));
  }

  ValueId product(const Emit& e, DecomposeContext& d, ValueId x, ValueId w, ValueId columns,
                  ValueId out, int64_t taps) const {
    ValueId group = e.b.ints({group_}), filters = e.dim(w, 0);
    ValueId depth = e.mul(e.dim(w, 1), e.b.ints({taps})), windows = e.product(out);
    columns = e.b.reshape(columns, e.concat({e.dim(x, 0), group, depth, windows}));
    ValueId weights = e.b.reshape(w, e.concat({group, e("Div", {filters, group}), depth}));
    ValueId y = e.b.reshape(e.matmul(weights, columns), e.concat({e.dim(x, 0), filters, out}));
    if (!d.has_input(3)) return y;
    std::vector<int64_t> behind;
    for (int64_t i = 1; i < e.b.rank(y) - 1; ++i) behind.push_back(i);
    return e.add(y, e.b.unsqueeze(e.b.cast(d.input(3), e.b.dtype(y)), behind));
  }

  List dilations_, kernel_, pads_, strides_;
  int64_t group_ = 1, offset_group_ = 1;
};

}  // namespace

void register_deform_conv(OpRegistry& r) {
  r.add<DeformConv>({.name = "DeformConv",
                     .doc = "a convolution whose elements are taken where offsets move them",
                     .since = {19, 22},
                     .inputs = {{"X", "T"},
                                {"W", "T", InputRole::Weight},
                                {"offset", "T"},
                                {"B", "T", Param::Kind::Optional, InputRole::Bias},
                                {"mask", "T", Param::Kind::Optional}},
                     .outputs = {{"Y", "T"}},
                     .types = {{"T", dtypes::floats}},
                     .kind = OpKind::Product,
                     .gradient = GradientState::Decompose,
                     .decomposes = true});
}

}  // namespace onnxrun
