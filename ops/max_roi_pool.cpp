// MaxRoiPool, and onnxrun.MaxRoiPoolGrad, the gradient of its image.
#include <cmath>

#include "base/threads.h"
#include "kernels/composed.h"

namespace onnxrun {

namespace {

// Bounds that keep products of pixels and bins in 64 bits.
constexpr double max_roi_pixel = 1 << 30;
constexpr int64_t max_roi_pooled = int64_t{1} << 30;

// Whole pixels of a region's bins along one axis.
struct RoiPoolBins {
  int64_t begin, extent, count, length;

  // [first, second) of the image; bins may overlap, and be empty.
  std::pair<int64_t, int64_t> pixels(int64_t b) const {
    int64_t first = b * extent / count, last = ((b + 1) * extent + count - 1) / count;
    return {std::clamp<int64_t>(begin + first, 0, length),
            std::clamp<int64_t>(begin + last, 0, length)};
  }
};

struct Region {
  int64_t image;
  RoiPoolBins rows, columns;
};

// Girshick 2015, "Fast R-CNN". Regions are input first_.
class RoiPoolFamily : public Op {
 public:
  explicit RoiPoolFamily(size_t first) : first_(first) {}

  void attributes(AttributeVisitor& v) override {
    v.required("pooled_shape", pooled_, "bins of a region along height and width");
    v.visit("spatial_scale", scale_, "factor from the regions' coordinates to pixels");
  }

 protected:
  Attributes all_attributes() const {
    return {{"pooled_shape", pooled_}, {"spatial_scale", scale_}};
  }

  void check(const InferContext& c, size_t image) const {
    bool good = pooled_.size() == 2 && std::all_of(pooled_.begin(), pooled_.end(), [](int64_t n) {
                  return n >= 1 && n <= max_roi_pooled;
                });
    if (!good) {
      c.reject("pooled_shape is {}, expected two numbers from 1 on", to_string(pooled_));
    }
    const Shape *x = c.shape(image), *rois = c.shape(first_);
    if (x && x->size() != 4) c.reject("{}, expected [N, C, H, W]", c.describe_input(image));
    if (rois && (rois->size() != 2 || ((*rois)[1].is_known() && !((*rois)[1] == Dim(5))))) {
      c.reject("{}, expected [regions, 5]", c.describe_input(first_));
    }
  }

  std::vector<Region> regions(const RunContext& c, const Tensor& x) const {
    std::vector<Region> result;
    const Tensor& rois = c.input(first_);
    dispatch_float(rois.dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      for (const T* v = rois.data<T>(); v < rois.data<T>() + rois.size(); v += 5) {
        auto image = static_cast<double>(v[0]);
        if (!(image >= 0 && image < static_cast<double>(x.dim(0))) || image != std::floor(image)) {
          fail(ErrorKind::BadInput, "a region's image is {}, expected 0 to {}", image,
               x.dim(0) - 1);
        }
        auto pixel = [&](int i) {
          auto at = static_cast<double>(std::round(static_cast<C>(v[i]) * static_cast<C>(scale_)));
          if (!std::isfinite(at)) fail(ErrorKind::BadInput, "a region's corner is {}", at);
          return static_cast<int64_t>(std::clamp(at, -max_roi_pixel, max_roi_pixel));
        };
        auto bins = [&](int first, int last, size_t axis) {
          int64_t begin = pixel(first), extent = std::max<int64_t>(pixel(last) - begin + 1, 1);
          return RoiPoolBins{begin, extent, pooled_[axis], x.dim(static_cast<int64_t>(axis) + 2)};
        };
        result.push_back({static_cast<int64_t>(image), bins(2, 4, 0), bins(1, 3, 1)});
      }
    });
    return result;
  }

  // The place of the largest pixel of a bin, the first of equal ones; -1 if it has none.
  template <typename T>
  static int64_t largest(const Region& r, int64_t ph, int64_t pw, const T* plane) {
    using C = ComputeType<T>;
    auto [y0, y1] = r.rows.pixels(ph);
    auto [x0, x1] = r.columns.pixels(pw);
    int64_t best = -1;
    C value = 0;
    for (int64_t y = y0; y < y1; ++y) {
      for (int64_t i = y * r.columns.length + x0; i < y * r.columns.length + x1; ++i) {
        C v = static_cast<C>(plane[i]);
        if (best >= 0 && !(v > value) && !(std::isnan(v) && !std::isnan(value))) continue;
        best = i;
        value = v;
      }
    }
    return best;
  }

  std::vector<int64_t> pooled_;
  float scale_ = 1;
  size_t first_;
};

class MaxRoiPool final : public RoiPoolFamily {
 public:
  MaxRoiPool() : RoiPoolFamily(1) {}

  void infer(InferContext& c) const override {
    check(c, 0);
    const Shape *x = c.shape(0), *rois = c.shape(1);
    c.set_output(0, c.dtype(0),
                 Shape{rois ? (*rois)[0] : Dim(), x ? (*x)[1] : Dim(), pooled_[0], pooled_[1]});
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    std::vector<Region> all = regions(c, x);
    int64_t channels = x.dim(1), plane = x.dim(2) * x.dim(3), bins = pooled_[0] * pooled_[1];
    if (y.size() == 0) return;
    dispatch_float(x.dtype(), [&]<typename T>() {
      parallel_for(y.size() / bins, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
          c.control().check();
          const Region& r = all[static_cast<size_t>(k / channels)];
          const T* from = x.data<T>() + (r.image * channels + k % channels) * plane;
          for (int64_t b = 0; b < bins; ++b) {
            int64_t at = largest(r, b / pooled_[1], b % pooled_[1], from);
            y.data<T>()[k * bins + b] = at < 0 ? T(0.0f) : from[at];
          }
        }
      });
    });
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    g.set(0,
          g.add("onnxrun.MaxRoiPoolGrad", {g.grad(0), g.input(0), g.input(1)}, all_attributes()));
  }
};

class MaxRoiPoolGrad final : public RoiPoolFamily {
 public:
  MaxRoiPoolGrad() : RoiPoolFamily(2) {}

  void infer(InferContext& c) const override {
    check(c, 1);
    c.set_output(0, c.type(1));
  }

  void run(RunContext& c) const override {
    const Tensor &dy = c.input(0), &x = c.input(1);
    std::vector<Region> all = regions(c, x);
    int64_t channels = x.dim(1), plane = x.dim(2) * x.dim(3), bins = pooled_[0] * pooled_[1];
    if (x.size() == 0) return;
    dispatch_float(x.dtype(), [&]<typename T>() {
      using C = ComputeType<T>;
      parallel_for(x.size() / plane, 1, [&](int64_t begin, int64_t end) {
        std::vector<C> sums(static_cast<size_t>(plane));
        for (int64_t p = begin; p < end; ++p) {
          std::fill(sums.begin(), sums.end(), C(0));
          for (size_t r = 0; r < all.size(); ++r) {
            if (all[r].image != p / channels) continue;
            c.control().check();
            const T* from =
                dy.data<T>() + (static_cast<int64_t>(r) * channels + p % channels) * bins;
            for (int64_t b = 0; b < bins; ++b) {
              int64_t at = largest(all[r], b / pooled_[1], b % pooled_[1], x.data<T>() + p * plane);
              if (at >= 0) sums[static_cast<size_t>(at)] += static_cast<C>(from[b]);
            }
          }
          std::transform(sums.begin(), sums.end(), c.output(0).data<T>() + p * plane,
                         [](C v) { return static_cast<T>(v); });
        }
      });
    });
  }

  // Every bin as a mask over all pixels, and the place of its maximum.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    DType type = d.dtype(d.input(1)), wide = type == DType::Float64 ? type : DType::Float32;
    ValueId dy = d.input(0), x = e.b.cast(d.input(1), wide), rois = e.b.cast(d.input(2), wide);
    ValueId images = e.b.cast(e.b.squeeze(e.b.slice(rois, 1, 0, 1), {1}), DType::Int64);
    ValueId flat = e.b.ints({-1}), pixels = e.product(e.dims(x, 2));
    ValueId rows = e.b.unsqueeze(masks(e, rois, x, 0), {2, 4});
    ValueId columns = e.b.unsqueeze(masks(e, rois, x, 1), {1, 3});
    int64_t bins = pooled_[0] * pooled_[1];
    ValueId mask = e.b.reshape(e("And", {rows, columns}),
                               e.concat({e.dim(rois, 0), e.b.ints({1, bins}), pixels}));
    ValueId own = e.b.reshape(e("Gather", {x, images}),
                              e.concat({e.dim(rois, 0), e.dim(x, 1), e.b.ints({1}), pixels}));
    ValueId seen = e.where(mask, own, e.scalar(-std::numeric_limits<double>::infinity(), own));
    ValueId place = e("ArgMax", {seen}, {{"axis", int64_t{3}}, {"keepdims", int64_t{0}}});
    ValueId any = e.b.cast(e.reduce("ReduceMax", e.b.cast(mask, DType::Int32), {3}, false), type);
    dy = e.mul(e.b.reshape(dy, e.b.shape_of(place)), any);
    ValueId planes = e.add(e.b.unsqueeze(e.mul(images, e.dim(x, 1)), {1, 2}),
                           e.b.unsqueeze(e.range(e.dim(x, 1)), {1}));
    ValueId to = e.b.reshape(e.add(e.mul(planes, pixels), place), flat);
    ValueId zeros = e.fill(0, type, e.product(e.b.shape_of(x)));
    ValueId sums = e("ScatterElements", {zeros, to, e.b.reshape(dy, flat)},
                     {{"reduction", std::string("add")}});
    d.set(0, e.b.reshape_like(sums, x));
  }

 private:
  // bool [regions, bins, length]: which pixels of the axis are in which bin.
  ValueId masks(const Emit& e, ValueId rois, ValueId x, int64_t axis) const {
    ValueId count = e.b.int_scalar(pooled_[static_cast<size_t>(axis)]), one = e.b.int_scalar(1);
    auto pixel = [&](int64_t column) {
      ValueId v = e.mul(e.b.slice(rois, 1, column, column + 1), e.scalar(scale_, rois));
      ValueId away = e("Floor", {e.add(e("Abs", {v}), e.scalar(0.5, v))});
      return e.b.cast(e.mul(e("Sign", {v}), away), DType::Int64);
    };
    ValueId begin = pixel(axis == 0 ? 2 : 1), end = pixel(axis == 0 ? 4 : 3);
    ValueId extent = e("Max", {e.add(e.sub(end, begin), one), one});
    ValueId bin = e.range(e.b.unsqueeze(count, {0}));
    ValueId first = e.div(e.mul(bin, extent), count);
    ValueId past = e.add(e.mul(e.add(bin, one), extent), e.sub(count, one));
    auto edge = [&](ValueId v) { return e.b.unsqueeze(e.add(v, begin), {2}); };
    ValueId at = e.range(e.dim(x, axis + 2));
    return e("And",
             {e("GreaterOrEqual", {at, edge(first)}), e("Less", {at, edge(e.div(past, count))})});
  }
};

}  // namespace

void register_max_roi_pool(OpRegistry& r) {
  r.add<MaxRoiPool>(
      {.name = "MaxRoiPool",
       .doc = "the largest pixels of the bins of regions; regions are constants to gradients",
       .since = {1, 22},
       .inputs = {{"X", "T"}, {"rois", "T"}},
       .outputs = {{"Y", "T"}},
       .types = {{"T", dtypes::floats}}});
  r.add<MaxRoiPoolGrad>({.name = "MaxRoiPoolGrad",
                         .domain = private_domain,
                         .doc = "the gradient of images whose regions were pooled",
                         .since = {1},
                         .inputs = {{"dY", "T"}, {"X", "T"}, {"rois", "T"}},
                         .outputs = {{"dX", "T"}},
                         .types = {{"T", dtypes::floats}},
                         .gradient = GradientState::Decompose,
                         .decomposes = true});
}

}  // namespace onnxrun
