// GridSample.
#include <limits>

#include "emit/sampling.h"
#include "graph/upgrade_context.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// Jaderberg et al. 2015, "Spatial transformer networks".
class GridSample final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("align_corners", align_,
            "-1 and 1 are the middles of the outer pixels, not their edges");
    v.visit("mode", mode_, "'linear', 'nearest' or 'cubic'");
    v.visit("padding_mode", padding_, "what is outside: 'zeros', 'border' or 'reflection'");
  }

  void infer(InferContext& c) const override {
    check(c);
    const Shape *x = c.shape(0), *grid = c.shape(1);
    if (x && x->size() < 3) c.reject("{}, expected [N, C, D1...]", c.describe_input(0));
    for (size_t i = 2; x && i < x->size(); ++i) {
      if ((*x)[i] == Dim(0)) c.reject("{} has no pixels", c.describe_input(0));
    }
    if (grid && grid->size() < 3) c.reject("{}, expected [N, D1..., axes]", c.describe_input(1));
    if (x && grid) {
      const Dim& axes = grid->back();
      bool fits = grid->size() == x->size() &&
                  (!axes.is_known() || axes == Dim(static_cast<int64_t>(x->size()) - 2)) &&
                  compatible(Type::tensor(c.dtype(0), Shape{(*x)[0]}),
                             Type::tensor(c.dtype(0), Shape{(*grid)[0]}));
      if (!fits) c.reject("{} does not go with {}", c.describe_input(1), c.describe_input(0));
    }
    if (!x && !grid) return c.set_output(0, c.dtype(0));
    Shape y = x ? Shape{(*x)[0], (*x)[1]} : Shape{(*grid)[0], Dim()};
    if (grid) {
      y.insert(y.end(), grid->begin() + 1, grid->end() - 1);
    } else {
      y.resize(x->size());
    }
    c.set_output(0, c.dtype(0), std::move(y));
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0), grid = d.input(1);
    DType type = d.dtype(x), wide = sampling_type(type, d.dtype(grid));
    int64_t axes = std::max(e.b.rank(x), e.b.rank(grid)) - 2;
    if (axes < 1) fail(ErrorKind::Unsupported, "the number of axes is not known");
    ValueId points = e.b.reshape(
        e.b.cast(grid, wide),
        e.concat({e.dim(grid, 0), e.product(e.dims(grid, 1, axes + 1)), e.b.ints({axes})}));
    std::vector<ValueId> places;
    for (int64_t a = 0; a < axes; ++a) {
      ValueId at = e.b.slice(points, 2, axes - 1 - a, axes - a);
      places.push_back(in_pixels(e, e.b.squeeze(at, {2}), e.dim(x, a + 2)));
    }
    ValueId y = emit_samples(e, x, places, sampling());
    ValueId shape = e.concat({e.dims(x, 0, 2), e.dims(grid, 1, axes + 1)});
    d.set(0, e.b.reshape(narrowed(e, y, type), shape));
  }

 private:
  Sampling sampling() const {
    Sampling how{Interpolation::Linear, Outside::Zeros, align_};
    if (mode_ != "linear") {
      how.interpolation = mode_ == "cubic" ? Interpolation::Cubic : Interpolation::Nearest;
    }
    if (padding_ != "zeros") {
      how.outside = padding_ == "border" ? Outside::Border : Outside::Reflection;
    }
    return how;
  }

  void check(const InferContext& c) const {
    if (mode_ != "linear" && mode_ != "nearest" && mode_ != "cubic") {
      c.reject("mode is '{}', expected 'linear', 'nearest' or 'cubic'", mode_);
    }
    if (padding_ != "zeros" && padding_ != "border" && padding_ != "reflection") {
      c.reject("padding_mode is '{}', expected 'zeros', 'border' or 'reflection'", padding_);
    }
    bool real = c.dtype(0) != DType::String && !is_complex(c.dtype(0));
    if (mode_ != "nearest" && !real) {
      c.reject("mode '{}' needs real numbers: {}", mode_, c.describe_input(0));
    }
  }

  ValueId in_pixels(const Emit& e, ValueId at, ValueId length) const {
    ValueId one = e.scalar(1, at), two = e.scalar(2, at);
    ValueId n = e.b.cast(e.b.squeeze(length, {0}), e.b.dtype(at)), from_start = e.add(at, one);
    if (align_) return e.mul(e.div(from_start, two), e.sub(n, one));
    return e.div(e.sub(e.mul(from_start, n), one), two);
  }

  // Samples of integers are cut, and stay in the range of their type.
  static ValueId narrowed(const Emit& e, ValueId y, DType type) {
    if (e.b.dtype(y) == type || !dtypes::ints.contains(type)) return e.b.cast(y, type);
    DType wide = e.b.dtype(y);
    double low = 0, high = 0;
    dispatch_int(type, [&]<typename T>() {
      low = static_cast<double>(std::numeric_limits<T>::lowest());
      // The largest of 64 bits is no double; the one below it is.
      high = static_cast<double>(sizeof(T) == 8 ? std::numeric_limits<T>::max() - 2047
                                                : std::numeric_limits<T>::max());
    });
    return e.b.cast(e("Clip", {y, e.b.scalar(low, wide), e.b.scalar(high, wide)}), type);
  }

  bool align_ = false;
  std::string mode_ = "linear", padding_ = "zeros";
};

// Version 16 called the modes by their names for images.
void upgrade_grid_sample(UpgradeContext& u) {
  if (u.opset() >= 20) return;
  std::string mode = u.take<std::string>("mode").value_or("bilinear");
  if (mode == "bilinear") mode = "linear";
  if (mode == "bicubic") mode = "cubic";
  u.attributes()["mode"] = mode;
}

}  // namespace

void register_grid_sample(OpRegistry& r) {
  r.add<GridSample>({.name = "GridSample",
                     .doc = "an image interpolated at the places of a grid",
                     .since = {16, 20, 22},
                     .inputs = {{"X", "T1"}, {"grid", "T2"}},
                     .outputs = {{"Y", "T1"}},
                     .types = {{"T1", dtypes::basic}, {"T2", dtypes::floats}},
                     .gradient = GradientState::Decompose,
                     .decomposes = true,
                     .upgrade = upgrade_grid_sample});
}

}  // namespace onnxrun
