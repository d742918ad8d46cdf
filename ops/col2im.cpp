// Col2Im, and onnxrun.Im2Col, its transpose.
#include <algorithm>

#include "base/threads.h"
#include "graph/gradient_context.h"
#include "kernels/composed.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

constexpr int64_t max_col2im_step = int64_t{1} << 31;

// Blocks that slide over an image: for each axis, kernel place and block the place in the image, -1
// outside.
struct Blocks {
  Dims image, kernel, count;
  std::vector<std::vector<int64_t>> places;

  int64_t image_size() const { return element_count(image); }
  int64_t kernel_size() const { return element_count(kernel); }
  int64_t block_count() const { return element_count(count); }

  // Calls f(offset in the columns, offset in the image) for all elements inside.
  template <typename F>
  void for_each(const F& f) const {
    const int64_t blocks = block_count();
    walk(
        0, 0, 0, 0, [&](int64_t row, int64_t column, int64_t at) __attribute__((always_inline)) {
          f(row * blocks + column, at);
        });
  }

 private:
  template <typename F>
  void walk(size_t axis, int64_t row, int64_t column, int64_t at, const F& f) const {
    if (axis == image.size()) return f(row, column, at);
    for (int64_t k = 0; k < kernel[axis]; ++k) {
      for (int64_t b = 0; b < count[axis]; ++b) {
        int64_t place = places[axis][static_cast<size_t>(k * count[axis] + b)];
        if (place < 0) continue;
        walk(axis + 1, row * kernel[axis] + k, column * count[axis] + b, at * image[axis] + place,
             f);
      }
    }
  }
};

// Attributes and geometry of both operators, whose inputs 1 and 2 are image and block shapes.
class BlockFamily : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("dilations", dilations_, "distance of a block's elements on each axis");
    v.visit("pads", pads_, "padding before all axes, then behind all");
    v.visit("strides", strides_, "distance of blocks on each axis");
  }

 protected:
  Attributes all_attributes() const {
    Attributes a;
    if (dilations_) a["dilations"] = *dilations_;
    if (pads_) a["pads"] = *pads_;
    if (strides_) a["strides"] = *strides_;
    return a;
  }

  // Throws BadInput where they do not fit each other.
  Blocks blocks(const std::vector<int64_t>& image, const std::vector<int64_t>& kernel) const {
    size_t n = image.size();
    if (n == 0 || kernel.size() != n) {
      fail(ErrorKind::BadInput, "image_shape {} and block_shape {} differ in rank",
           to_string(image), to_string(kernel));
    }
    check(strides_, "strides", n, 1);
    check(dilations_, "dilations", n, 1);
    check(pads_, "pads", 2 * n, 0);
    Blocks result{image, kernel, {}, {}};
    for (size_t i = 0; i < n; ++i) {
      if (image[i] < 0 || image[i] > max_col2im_step || kernel[i] < 1 ||
          kernel[i] > max_col2im_step) {
        fail(ErrorKind::BadInput, "blocks {} do not fit image {}", to_string(kernel),
             to_string(image));
      }
      int64_t stride = at(strides_, i, 1), pad = at(pads_, i, 0);
      int64_t extent = (kernel[i] - 1) * at(dilations_, i, 1) + 1;
      int64_t room = image[i] + pad + at(pads_, n + i, 0) - extent;
      result.count.push_back(room < 0 ? 0 : room / stride + 1);
    }
    return result;
  }

  void fill_places(Blocks& s) const {
    for (size_t i = 0; i < s.image.size(); ++i) {
      std::vector<int64_t>& places = s.places.emplace_back();
      for (int64_t k = 0; k < s.kernel[i]; ++k) {
        for (int64_t b = 0; b < s.count[i]; ++b) {
          int64_t place = b * at(strides_, i, 1) - at(pads_, i, 0) + k * at(dilations_, i, 1);
          places.push_back(place < s.image[i] ? std::max<int64_t>(place, -1) : -1);
        }
      }
    }
  }

  std::optional<std::vector<int64_t>> dilations_, pads_, strides_;

 private:
  static int64_t at(const std::optional<std::vector<int64_t>>& list, size_t i, int64_t otherwise) {
    return list ? (*list)[i] : otherwise;
  }
  static void check(const std::optional<std::vector<int64_t>>& list, const char* name, size_t n,
                    int64_t lowest) {
    if (!list) return;
    bool good = list->size() == n && std::all_of(list->begin(), list->end(), [&](int64_t v) {
                  return v >= lowest && v <= max_col2im_step;
                });
    if (!good) {
      fail(ErrorKind::BadModel, "attribute '{}' is {}, expected {} numbers from {} on", name,
           to_string(*list), n, lowest);
    }
  }
};

template <typename T>
void merge(T& to, const T& from) {
  if constexpr (std::is_same_v<T, bool>) {
    to = to || from;
  } else if constexpr (std::is_integral_v<T>) {
    to = static_cast<T>(static_cast<uint64_t>(to) + static_cast<uint64_t>(from));
  } else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) {
    to = static_cast<T>(static_cast<float>(to) + static_cast<float>(from));
  } else {
    to += from;
  }
}

class Col2Im final : public BlockFamily {
 public:
  void infer(InferContext& c) const override {
    const Shape* x = c.shape(0);
    if (x && x->size() != 3) c.reject("{}, expected [N, C * block, blocks]", c.describe_input(0));
    std::optional<Shape> image = requested_lengths(c, 1);
    if (!image) return c.set_output(0, c.dtype(0));
    Shape shape = {x ? (*x)[0] : Dim(), Dim()};
    shape.insert(shape.end(), image->begin(), image->end());
    auto image_values = c.ints(1), kernel = c.ints(2);
    if (kernel && x) {
      int64_t size = 1;
      for (int64_t k : *kernel) {
        if (k < 1) c.reject("block_shape is {}", to_string(*kernel));
      }
      size = element_count(*kernel);
      if ((*x)[1].is_known() && (*x)[1].value() % size != 0) {
        c.reject("{} has no whole number of blocks of {} elements", c.describe_input(0), size);
      }
      shape[1] = floor_div((*x)[1], Dim(size));
    }
    if (kernel && image_values) {
      Blocks s = blocks(*image_values, *kernel);
      if (x && (*x)[2].is_known() && (*x)[2].value() != s.block_count()) {
        c.reject("{}, expected {} blocks", c.describe_input(0), s.block_count());
      }
    }
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    Blocks s = blocks(to_int64s(c.input(1)), to_int64s(c.input(2)));
    int64_t columns = s.kernel_size() * s.block_count(), image = s.image_size();
    if (x.size() > 0) fill_places(s);
    dispatch<float, double, float16, bfloat16, int64_t, int32_t, uint8_t, int8_t, uint16_t, int16_t,
             uint32_t, uint64_t, bool, std::string, std::complex<float>, std::complex<double>>(
        x.dtype(), [&]<typename T>() {
          T* out = y.data<T>();
          const T* in = x.data<T>();
          std::fill_n(out, y.size(), T{});
          if (x.size() == 0) return;
          parallel_for(x.size() / columns, std::max<int64_t>(1, 16384 / columns),
                       [&](int64_t begin, int64_t end) {
                         for (int64_t p = begin; p < end; ++p) {
                           s.for_each([&](int64_t from, int64_t to) {
                             merge(out[p * image + to], in[p * columns + from]);
                           });
                         }
                       });
        });
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    g.set(0, g.add("onnxrun.Im2Col", {g.grad(0), g.input(1), g.input(2)}, all_attributes()));
  }
};

class Im2Col final : public BlockFamily {
 public:
  void infer(InferContext& c) const override {
    Shape shape(3);
    const Shape* x = c.shape(0);
    if (x && x->size() < 3) c.reject("{}, expected images", c.describe_input(0));
    auto image = c.ints(1), kernel = c.ints(2);
    if (x) shape[0] = (*x)[0];
    if (kernel && x) shape[1] = (*x)[1] * Dim(element_count(*kernel));
    if (kernel && image) shape[2] = blocks(*image, *kernel).block_count();
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    Blocks s = blocks(to_int64s(c.input(1)), to_int64s(c.input(2)));
    int64_t columns = s.kernel_size() * s.block_count(), image = s.image_size();
    if (y.size() == 0) return;
    fill_places(s);
    dispatch_float(x.dtype(), [&]<typename T>() {
      T* out = y.data<T>();
      const T* in = x.data<T>();
      parallel_for(y.size() / columns, std::max<int64_t>(1, 16384 / columns),
                   [&](int64_t begin, int64_t end) {
                     std::fill(out + begin * columns, out + end * columns, T(0.0f));
                     for (int64_t p = begin; p < end; ++p) {
                       s.for_each([&](int64_t to, int64_t from) {
                         out[p * columns + to] = in[p * image + from];
                       });
                     }
                   });
    });
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    g.set(0, g.add("Col2Im", {g.grad(0), g.input(1), g.input(2)}, all_attributes()));
  }

  // Col2Im of numbered elements cannot say where they come from, but each axis is a Gather of a
  // padded axis.
  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0);
    const Tensor *image = e.b.graph().constant(d.input(1)),
                 *kernel = e.b.graph().constant(d.input(2));
    if (!image || !kernel) fail(ErrorKind::Unsupported, "the shapes are not constant");
    Blocks s = blocks(to_int64s(*image), to_int64s(*kernel));
    fill_places(s);
    auto n = static_cast<int64_t>(s.image.size());
    // The place behind the last one is zero.
    std::vector<int64_t> pads(static_cast<size_t>(2 * (n + 2)), 0), perm = {0, 1};
    std::fill(pads.end() - n, pads.end(), 1);
    ValueId v = e("Pad", {x, e.b.ints(pads)});
    for (int64_t i = 0; i < n; ++i) {
      auto a = static_cast<size_t>(i);
      std::vector<int64_t> places = s.places[a];
      for (int64_t& p : places) p = p < 0 ? s.image[a] : p;
      ValueId index = e.b.constant(Tensor::of<int64_t>({s.kernel[a], s.count[a]}, places));
      v = e("Gather", {v, index}, {{"axis", 2 + 2 * i}});
    }
    for (int64_t i = 0; i < n; ++i) perm.push_back(2 + 2 * i);
    for (int64_t i = 0; i < n; ++i) perm.push_back(3 + 2 * i);
    ValueId channels = e.mul(e.dim(x, 1), e.b.ints({s.kernel_size()}));
    d.set(0, e.b.reshape(e.b.transpose(v, perm),
                         e.concat({e.dim(x, 0), channels, e.b.ints({s.block_count()})})));
  }
};

}  // namespace

void register_col2im(OpRegistry& r) {
  r.add<Col2Im>({.name = "Col2Im",
                 .doc = "columns of overlapping blocks added up to an image",
                 .since = {18},
                 .inputs = {{"input", "T"},
                            {"image_shape", "tensor(int64)"},
                            {"block_shape", "tensor(int64)"}},
                 .outputs = {{"output", "T"}},
                 .types = {{"T", dtypes::basic}, {"tensor(int64)", DType::Int64}}});
  r.add<Im2Col>({.name = "Im2Col",
                 .domain = private_domain,
                 .doc = "the overlapping blocks of an image as columns",
                 .since = {1},
                 .inputs = {{"image", "T"}, {"image_shape", "I"}, {"block_shape", "I"}},
                 .outputs = {{"columns", "T"}},
                 .types = {{"T", dtypes::floats}, {"I", DType::Int64}},
                 .decomposes = true});
}

}  // namespace onnxrun
