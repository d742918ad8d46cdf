// AffineGrid.
#include "kernels/composed.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// Jaderberg et al. 2015, "Spatial transformer networks".
class AffineGrid final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("align_corners", align_,
            "-1 and 1 are the middles of the outer pixels, not their edges");
  }

  void infer(InferContext& c) const override {
    const Shape* theta = c.shape(0);
    std::optional<Shape> size = requested_lengths(c, 1);
    int64_t axes = -1;
    if (theta) {
      bool fits = theta->size() == 3 && (*theta)[1].is_known() && (*theta)[2].is_known();
      if (fits) axes = (*theta)[1].value();
      bool good = theta->size() == 3 &&
                  (!fits || ((axes == 2 || axes == 3) && (*theta)[2] == Dim(axes + 1)));
      if (!good) c.reject("{}, expected [N, 2, 3] or [N, 3, 4]", c.describe_input(0));
    }
    if (size) {
      bool fits = size->size() == 4 || size->size() == 5;
      if (!fits || (axes > 0 && static_cast<int64_t>(size->size()) != axes + 2)) {
        c.reject("size {} does not go with {}", to_string(*size), c.describe_input(0));
      }
      if (theta && (*theta)[0].is_known() && (*size)[0].is_known() &&
          !((*theta)[0] == (*size)[0])) {
        c.reject("size {} does not go with {}", to_string(*size), c.describe_input(0));
      }
      axes = static_cast<int64_t>(size->size()) - 2;
    }
    if (axes < 0) return c.set_output(0, c.dtype(0));
    Shape grid = size ? *size : unknown_shape(axes + 2);
    grid.erase(grid.begin() + 1);
    grid.emplace_back(axes);
    c.set_output(0, c.dtype(0), std::move(grid));
  }

  // [x, y, 1] of all pixels, times the transposed matrices.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    DType type = d.dtype(d.input(0)), wide = type == DType::Float64 ? type : DType::Float32;
    ValueId theta = e.b.cast(d.input(0), wide), size = d.input(1);
    const Type known = e.b.type(theta);
    if (!known.shape || !(*known.shape)[1].is_known()) {
      fail(ErrorKind::Unsupported, "the number of axes is not known");
    }
    int64_t axes = (*known.shape)[1].value();
    ValueId space = e.b.slice(size, 0, 2, INT64_MAX);
    std::vector<ValueId> columns;
    for (int64_t k = axes; k-- > 0;) {
      ValueId n = e.b.slice(space, 0, k, k + 1), places = e.b.cast(e.range(n), wide);
      std::vector<int64_t> others = {};
      for (int64_t i = 0; i <= axes; ++i) {
        if (i != k) others.push_back(i);
      }
      ValueId along = e.b.unsqueeze(coordinates(e, places, n, wide), others);
      columns.push_back(e("Expand", {along, e.concat({space, e.b.ints({1})})}));
    }
    columns.push_back(e.fill(1, wide, e.concat({space, e.b.ints({1})})));
    ValueId points =
        e.b.reshape(e.concat(columns, axes), e.concat({e.product(space), e.b.ints({axes + 1})}));
    ValueId grid = e.matmul(points, e.b.transpose(theta, {0, 2, 1}));
    ValueId shape = e.concat({e.b.slice(size, 0, 0, 1), space, e.b.ints({axes})});
    d.set(0, e.b.cast(e.b.reshape(grid, shape), type));
  }

 private:
  ValueId coordinates(const Emit& e, ValueId places, ValueId n, DType type) const {
    ValueId one = e.b.scalar(1, type), two = e.b.scalar(2, type);
    ValueId count = e.b.cast(n, type);
    if (align_) {
      ValueId steps = e("Max", {e.sub(count, one), one});
      return e.sub(e.div(e.mul(two, places), steps), one);
    }
    return e.sub(e.div(e.add(e.mul(two, places), one), count), one);
  }

  bool align_ = false;
};

}  // namespace

void register_affine_grid(OpRegistry& r) {
  r.add<AffineGrid>({.name = "AffineGrid",
                     .doc = "where each pixel of an image comes from under affine maps",
                     .since = {20},
                     .inputs = {{"theta", "T1"}, {"size", "T2"}},
                     .outputs = {{"grid", "T1"}},
                     .types = {{"T1", dtypes::floats}, {"T2", DType::Int64}},
                     .gradient = GradientState::Decompose,
                     .decomposes = true});
}

}  // namespace onnxrun
