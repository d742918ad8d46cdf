// RoiAlign, and onnxrun.RoiAlignGrad, the gradient of its image.
#include <cmath>

#include "base/threads.h"
#include "graph/upgrade_context.h"
#include "kernels/composed.h"

namespace onnxrun {

namespace {

constexpr int64_t max_ratio = 4096;
constexpr int64_t max_pooled = int64_t{1} << 31;
constexpr double max_pixel = 1e12;  // what doubles tell apart from its neighbours' samples

// Where one sample of an axis lies: between two pixels.
struct Sample {
  int64_t low, high;
  double low_weight, high_weight;
};

// The bins of a region along one axis of an image.
class Bins {
 public:
  Bins(double begin, double extent, int64_t count, int64_t ratio, int64_t length)
      : begin_(begin), size_(extent / static_cast<double>(count)), length_(length) {
    grid_ = ratio > 0 ? static_cast<double>(ratio) : std::ceil(size_);
    step_ = size_ / grid_;
  }

  // Samples of a bin, those outside the image too.
  double grid() const { return std::max(grid_, 0.0); }

  // Those of bin b that can lie in the image: [first, second).
  std::pair<int64_t, int64_t> inside(int64_t b) const {
    if (!(grid_ > 0)) return {0, 0};
    if (step_ == 0) return {0, static_cast<int64_t>(std::min(grid_, double{max_ratio}))};
    double at = start(b), lowest = (-1 - at) / step_ - 0.5,
           highest = (static_cast<double>(length_) - at) / step_ - 0.5;
    if (step_ < 0) std::swap(lowest, highest);
    double first = std::clamp(std::floor(lowest) - 1, 0.0, grid_),
           last = std::clamp(std::ceil(highest) + 2, first, grid_);
    return {static_cast<int64_t>(first), static_cast<int64_t>(last)};
  }

  std::optional<Sample> sample(int64_t b, int64_t i) const {
    double y = start(b) + (static_cast<double>(i) + 0.5) * step_;
    if (!(y >= -1 && y <= static_cast<double>(length_))) return std::nullopt;
    y = std::max(y, 0.0);
    auto low = static_cast<int64_t>(y);
    if (low >= length_ - 1) return Sample{length_ - 1, length_ - 1, 1, 0};
    double rest = y - static_cast<double>(low);
    return Sample{low, low + 1, 1 - rest, rest};
  }

 private:
  double start(int64_t b) const { return begin_ + static_cast<double>(b) * size_; }

  double begin_, size_, grid_ = 0, step_ = 0;
  int64_t length_;
};

// The weight of each pixel in the sum of a bin's samples along one axis.
struct BinWeights {
  std::vector<int64_t> begin = {0};  // of each bin's part in the others
  std::vector<int64_t> pixel;
  std::vector<double> weight;

  BinWeights(const Bins& bins, int64_t count) {
    for (int64_t b = 0; b < count; ++b) {
      auto [first, last] = bins.inside(b);
      for (int64_t i = first; i < last; ++i) {
        if (auto s = bins.sample(b, i)) {
          add(s->low, s->low_weight);
          if (s->high_weight > 0) add(s->high, s->high_weight);
        }
      }
      begin.push_back(static_cast<int64_t>(pixel.size()));
    }
  }

 private:
  // Neighbouring samples mostly share pixels.
  void add(int64_t p, double w) {
    for (size_t back = 1; back <= 2 && pixel.size() >= static_cast<size_t>(begin.back()) + back;
         ++back) {
      if (pixel[pixel.size() - back] == p) {
        weight[weight.size() - back] += w;
        return;
      }
    }
    pixel.push_back(p);
    weight.push_back(w);
  }
};

// What a max bin takes: the largest product of a weight and a pixel; the first of equal ones.
struct Largest {
  bool any = false;
  int64_t pixel = -1;  // -1 where it is a sample outside
  double weight = 0;
  double value = 0;

  void offer(double v, double w, int64_t p) {
    if (any && !(v > value) && !std::isnan(v)) return;
    *this = {true, p, w, v};
  }
};

// Attributes and geometry of both operators. Regions and their images are inputs first_ and
// first_ + 1.
class RoiAlignFamily : public Op {
 public:
  explicit RoiAlignFamily(size_t first) : first_(first) {}

  void attributes(AttributeVisitor& v) override {
    v.visit("coordinate_transformation_mode", coordinates_,
            "'half_pixel', or 'output_half_pixel': corners are not moved by half a pixel");
    v.visit("mode", mode_, "'avg' or 'max' of a bin's samples");
    v.visit("output_height", height_, "bins of a region along the height");
    v.visit("output_width", width_, "bins along the width");
    v.visit("sampling_ratio", ratio_, "samples of a bin along each axis; 0: one a pixel");
    v.visit("spatial_scale", scale_, "factor from the regions' coordinates to pixels");
  }

 protected:
  Attributes all_attributes() const {
    return {{"coordinate_transformation_mode", coordinates_},
            {"mode", mode_},
            {"output_height", height_},
            {"output_width", width_},
            {"sampling_ratio", ratio_},
            {"spatial_scale", scale_}};
  }

  void check(const InferContext& c, size_t image) const {
    if (mode_ != "avg" && mode_ != "max") c.reject("mode is '{}', expected 'avg' or 'max'", mode_);
    if (coordinates_ != "half_pixel" && coordinates_ != "output_half_pixel") {
      c.reject(
          "coordinate_transformation_mode is '{}', expected 'half_pixel' or "
          "'output_half_pixel'",
          coordinates_);
    }
    if (ratio_ < 0 || ratio_ > max_ratio) {
      c.reject("sampling_ratio is {}, expected 0 to {}", ratio_, max_ratio);
    }
    for (int64_t n : {height_, width_}) {
      if (n < 1 || n > max_pooled) c.reject("a region of {} x {} bins", height_, width_);
    }
    const Shape *x = c.shape(image), *rois = c.shape(first_), *images = c.shape(first_ + 1);
    if (x && x->size() != 4) c.reject("{}, expected [N, C, H, W]", c.describe_input(image));
    if (x && ((*x)[2] == Dim(0) || (*x)[3] == Dim(0))) {
      c.reject("{} has no pixels", c.describe_input(image));
    }
    if (rois && (rois->size() != 2 || ((*rois)[1].is_known() && !((*rois)[1] == Dim(4))))) {
      c.reject("{}, expected [regions, 4]", c.describe_input(first_));
    }
    if (images && images->size() != 1)
      c.reject("{}, expected a list", c.describe_input(first_ + 1));
    if (rois && images &&
        !compatible(c.type(first_ + 1), Type::tensor(DType::Int64, Shape{(*rois)[0]}))) {
      c.reject("{} does not go with {}", c.describe_input(first_ + 1), c.describe_input(first_));
    }
  }

  // The regions' images, checked.
  std::vector<int64_t> images_of(const RunContext& c, int64_t count) const {
    std::vector<int64_t> images = to_int64s(c.input(first_ + 1));
    for (int64_t n : images) {
      if (n < 0 || n >= count) {
        fail(ErrorKind::BadInput, "a region's image is {}, expected 0 to {}", n, count - 1);
      }
    }
    return images;
  }

  // Corners x0, y0, x1, y1 of all regions in pixels.
  std::vector<double> corners(const RunContext& c) const {
    std::vector<double> all = to_doubles(c.input(first_));
    double offset = coordinates_ == "half_pixel" ? 0.5 : 0;
    for (double& v : all) {
      v = v * static_cast<double>(scale_) - offset;
      if (!(std::abs(v) <= max_pixel)) {
        fail(ErrorKind::BadInput, "a region's corner is {} pixels from the first", v);
      }
    }
    return all;
  }

  Bins bins(const double* corner, bool vertical, int64_t length) const {
    double begin = corner[vertical ? 1 : 0], extent = corner[vertical ? 3 : 2] - begin;
    if (coordinates_ != "half_pixel") extent = std::max(extent, 1.0);
    return {begin, extent, vertical ? height_ : width_, ratio_, length};
  }

  template <typename T>
  static Largest largest(const Bins& rows, const Bins& columns, int64_t ph, int64_t pw,
                         const T* plane, int64_t width) {
    Largest best;
    auto [y0, y1] = rows.inside(ph);
    auto [x0, x1] = columns.inside(pw);
    bool outside =
        static_cast<double>(y1 - y0) < rows.grid() || static_cast<double>(x1 - x0) < columns.grid();
    if (outside && rows.grid() > 0 && columns.grid() > 0) best.offer(0, 0, -1);
    for (int64_t i = y0; i < y1; ++i) {
      auto y = rows.sample(ph, i);
      for (int64_t j = x0; j < x1; ++j) {
        auto x = columns.sample(pw, j);
        if (!y || !x) {
          best.offer(0, 0, -1);
          continue;
        }
        auto corner = [&](int64_t row, int64_t column, double w) {
          int64_t at = row * width + column;
          best.offer(w * static_cast<double>(plane[at]), w, at);
        };
        corner(y->low, x->low, y->low_weight * x->low_weight);
        corner(y->low, x->high, y->low_weight * x->high_weight);
        corner(y->high, x->low, y->high_weight * x->low_weight);
        corner(y->high, x->high, y->high_weight * x->high_weight);
      }
    }
    return best;
  }

  std::string coordinates_ = "half_pixel", mode_ = "avg";
  int64_t height_ = 1, width_ = 1, ratio_ = 0;
  float scale_ = 1;
  size_t first_;
};

// He et al. 2017, "Mask R-CNN".
class RoiAlign final : public RoiAlignFamily {
 public:
  RoiAlign() : RoiAlignFamily(1) {}

  void infer(InferContext& c) const override {
    check(c, 0);
    const Shape *x = c.shape(0), *rois = c.shape(1);
    c.set_output(0, c.dtype(0),
                 Shape{rois ? (*rois)[0] : Dim(), x ? (*x)[1] : Dim(), height_, width_});
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    std::vector<int64_t> images = images_of(c, x.dim(0));
    std::vector<double> corner = corners(c);
    if (y.size() == 0) return;
    int64_t channels = x.dim(1), blocks = (channels + block - 1) / block;
    dispatch_float(x.dtype(), [&]<typename T>() {
      parallel_for(y.dim(0) * blocks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
          c.control().check();
          int64_t r = k / blocks, first = k % blocks * block;
          const T* in = x.data<T>() +
                        (images[static_cast<size_t>(r)] * channels + first) * x.dim(2) * x.dim(3);
          T* out = y.data<T>() + (r * channels + first) * height_ * width_;
          pool(corner.data() + 4 * r, x, std::min(block, channels - first), in, out);
        }
      });
    });
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    g.set(0, g.add("onnxrun.RoiAlignGrad", {g.grad(0), g.input(0), g.input(1), g.input(2)},
                   all_attributes()));
  }

 private:
  static constexpr int64_t block = 16;

  template <typename T>
  void pool(const double* corner, const Tensor& x, int64_t channels, const T* in, T* out) const {
    int64_t width = x.dim(3), plane = x.dim(2) * width;
    Bins rows = bins(corner, true, x.dim(2)), columns = bins(corner, false, width);
    if (mode_ == "max") {
      for (int64_t i = 0; i < channels * height_ * width_; ++i) {
        int64_t bin = i % (height_ * width_);
        out[i] = narrow<T>(largest(rows, columns, bin / width_, bin % width_,
                                   in + i / (height_ * width_) * plane, width)
                               .value);
      }
      return;
    }
    const BinWeights down(rows, height_), across(columns, width_);
    double count = std::max(rows.grid() * columns.grid(), 1.0);
    for (int64_t i = 0; i < channels * height_ * width_; ++i) {
      int64_t bin = i % (height_ * width_);
      const T* from = in + i / (height_ * width_) * plane;
      out[i] = narrow<T>(sum(down, across, bin / width_, bin % width_, from, width) / count);
    }
  }

  template <typename T>
  static double sum(const BinWeights& down, const BinWeights& across, int64_t ph, int64_t pw,
                    const T* plane, int64_t width) {
    double total = 0;
    auto p = static_cast<size_t>(ph), q = static_cast<size_t>(pw);
    for (auto i = static_cast<size_t>(down.begin[p]); i < static_cast<size_t>(down.begin[p + 1]);
         ++i) {
      const T* row = plane + down.pixel[i] * width;
      double line = 0;
      for (auto j = static_cast<size_t>(across.begin[q]);
           j < static_cast<size_t>(across.begin[q + 1]); ++j) {
        line += across.weight[j] * static_cast<double>(row[across.pixel[j]]);
      }
      total += down.weight[i] * line;
    }
    return total;
  }

  template <typename T>
  static T narrow(double v) {
    if constexpr (std::is_same_v<T, double>) return v;
    return static_cast<T>(static_cast<float>(v));
  }
};

// The adjoint of the average; of the maximum, everything to the pixel that it is.
class RoiAlignGrad final : public RoiAlignFamily {
 public:
  RoiAlignGrad() : RoiAlignFamily(2) {}

  void infer(InferContext& c) const override {
    check(c, 1);
    c.set_output(0, c.type(1));
  }

  void run(RunContext& c) const override {
    const Tensor &dy = c.input(0), &x = c.input(1);
    std::vector<int64_t> images = images_of(c, x.dim(0));
    std::vector<double> corner = corners(c);
    int64_t plane = x.dim(2) * x.dim(3), channels = x.dim(1), bin_count = height_ * width_;
    if (x.size() == 0) return;
    dispatch_float(x.dtype(), [&]<typename T>() {
      parallel_for(x.dim(0) * channels, 1, [&](int64_t begin, int64_t end) {
        std::vector<double> sums(static_cast<size_t>(plane));
        for (int64_t p = begin; p < end; ++p) {
          std::fill(sums.begin(), sums.end(), 0.0);
          for (size_t r = 0; r < images.size(); ++r) {
            if (images[r] != p / channels) continue;
            c.control().check();
            int64_t at = static_cast<int64_t>(r) * channels + p % channels;
            spread(corner.data() + 4 * r, x, x.data<T>() + p * plane, dy.data<T>() + at * bin_count,
                   sums);
          }
          T* out = c.output(0).data<T>() + p * plane;
          std::transform(sums.begin(), sums.end(), out, [](double v) {
            if constexpr (std::is_same_v<T, double>) return v;
            return static_cast<T>(static_cast<float>(v));
          });
        }
      });
    });
  }

  void gradient(GradientContext& g) const override {
    if (mode_ != "avg") {
      fail(ErrorKind::Unsupported, "the second derivative of a maximum over samples");
    }
    if (g.wants(0)) {
      g.set(0, g.add("RoiAlign", {g.grad(0), g.input(2), g.input(3)}, all_attributes()));
    }
  }

  // RoiAlign of images that have one pixel each gives the weights.
  void decompose(DecomposeContext& d) const override {
    if (mode_ != "avg") {
      fail(ErrorKind::Unsupported, "no standard operators say where a maximum over samples is");
    }
    Emit e(d.builder());
    ValueId dy = d.input(0), x = d.input(1), images = d.input(3);
    ValueId space = e.dims(x, 2), pixels = e.product(space), one = e.b.ints({1});
    ValueId square = e.fill(0, d.dtype(x), e.concat({pixels, pixels}));
    ValueId eye = e.b.reshape(e("EyeLike", {square}), e.concat({one, pixels, space}));
    ValueId first = e.sub(images, images);
    ValueId weights = e("RoiAlign", {eye, d.input(2), first}, all_attributes());
    auto flat = [&](ValueId v) {
      return e.b.reshape(v, e.concat({e.dims(v, 0, 2), e.b.ints({height_ * width_})}));
    };
    ValueId parts = e.matmul(flat(weights), e.b.transpose(flat(dy), {0, 2, 1}));
    ValueId zeros = e.fill(0, d.dtype(x), e.concat({e.dim(x, 0), pixels, e.dim(x, 1)}));
    ValueId sums = e("ScatterND", {zeros, e.b.unsqueeze(images, {1}), parts},
                     {{"reduction", std::string("add")}});
    d.set(0, e.b.reshape_like(e.b.transpose(sums, {0, 2, 1}), x));
  }

 private:
  template <typename T>
  void spread(const double* corner, const Tensor& x, const T* plane, const T* dy,
              std::vector<double>& sums) const {
    int64_t width = x.dim(3);
    Bins rows = bins(corner, true, x.dim(2)), columns = bins(corner, false, width);
    if (mode_ == "max") {
      for (int64_t bin = 0; bin < height_ * width_; ++bin) {
        Largest l = largest(rows, columns, bin / width_, bin % width_, plane, width);
        if (l.pixel < 0) continue;
        sums[static_cast<size_t>(l.pixel)] += l.weight * static_cast<double>(dy[bin]);
      }
      return;
    }
    const BinWeights down(rows, height_), across(columns, width_);
    double count = std::max(rows.grid() * columns.grid(), 1.0);
    for (int64_t bin = 0; bin < height_ * width_; ++bin) {
      auto p = static_cast<size_t>(bin / width_), q = static_cast<size_t>(bin % width_);
      double v = static_cast<double>(dy[bin]) / count;
      for (auto i = static_cast<size_t>(down.begin[p]); i < static_cast<size_t>(down.begin[p + 1]);
           ++i) {
        double* row = sums.data() + down.pixel[i] * width;
        for (auto j = static_cast<size_t>(across.begin[q]);
             j < static_cast<size_t>(across.begin[q + 1]); ++j) {
          row[across.pixel[j]] += down.weight[i] * across.weight[j] * v;
        }
      }
    }
  }
};

// Version 10 had no half pixels.
void upgrade_roi_align(UpgradeContext& u) {
  if (u.opset() < 16) {
    u.attributes()["coordinate_transformation_mode"] = std::string("output_half_pixel");
  }
}

}  // namespace

void register_roi_align(OpRegistry& r) {
  r.add<RoiAlign>(
      {.name = "RoiAlign",
       .doc = "regions of images, sampled and pooled into bins; regions are constants to gradients",
       .since = {10, 16, 22},
       .inputs = {{"X", "T1"}, {"rois", "T1"}, {"batch_indices", "T2"}},
       .outputs = {{"Y", "T1"}},
       .types = {{"T1", dtypes::floats}, {"T2", DType::Int64}},
       .upgrade = upgrade_roi_align});
  r.add<RoiAlignGrad>(
      {.name = "RoiAlignGrad",
       .domain = private_domain,
       .doc = "the gradient of images whose regions were pooled",
       .since = {1},
       .inputs = {{"dY", "T1"}, {"X", "T1"}, {"rois", "T1"}, {"batch_indices", "T2"}},
       .outputs = {{"dX", "T1"}},
       .types = {{"T1", dtypes::floats}, {"T2", DType::Int64}},
       .gradient = GradientState::Rule,
       .decomposes = true});
}

}  // namespace onnxrun
