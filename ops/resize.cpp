// Resize, and onnxrun.ResizeGrad, the adjoint.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "graph/upgrade_context.h"
#include "kernels/composed.h"
#include "kernels/data_movement.h"
#include "kernels/kernel_list.h"
#include "kernels/resample.h"
#include "kernels/resampling.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// Lengths that floating point counts exactly.
constexpr double max_length = 9e15;

struct ResizeState final : KernelState {
  std::string_view kernel() const override { return name; }

  bool known = false;  // false if only the run knows them
  AxisTaps axes;
  bool is_nearest = false;
  double outside = 0;
  std::string_view name;
};

template <typename T>
using ResizeKernel = Kernel<ResizeState, const RunControl&, const Tensor&, Tensor&>;
template <typename T>
constexpr ResizeKernel<T> resize_kernels[] = {
    {"places", [](const ResizeState& s) { return s.is_nearest; },
     [](const ResizeState& s, const RunControl&, const Tensor& x, Tensor& y) {
       const T outside = narrowed<T>(static_cast<WideType<T>>(s.outside));
       pick<T>(s.axes, x.dims(), y.dims(), x.data<T>(), outside, y.data<T>());
     }},
    {"sums along axes", always<ResizeState>,
     [](const ResizeState& s, const RunControl& control, const Tensor& x, Tensor& y) {
       resample<T>(control, s.axes, x, s.outside, y);
     }},
};
template <>
constexpr ResizeKernel<std::string> resize_kernels<std::string>[] = {
    {"places", always<ResizeState>,
     [](const ResizeState& s, const RunControl&, const Tensor& x, Tensor& y) {
       pick<std::string>(s.axes, x.dims(), y.dims(), x.data<std::string>(), "",
                         y.data<std::string>());
     }},
};

template <typename F>
void dispatch_basic(DType dtype, F&& f) {
  if (dtype == DType::String) return f.template operator()<std::string>();
  dispatch<float, double, float16, bfloat16, uint8_t, int8_t, uint16_t, int16_t, int32_t, int64_t,
           uint32_t, uint64_t, bool, std::complex<float>, std::complex<double>>(dtype, f);
}

// Attributes and geometry of Resize and its adjoint. roi, scales and sizes are inputs first_,
// first_ + 1 and first_ + 2.
class ResizeFamily : public Op {
 public:
  explicit ResizeFamily(size_t first) : first_(first) {}

  void attributes(AttributeVisitor& v) override {
    v.visit("antialias", antialias_, "filters are stretched where the output is smaller");
    v.visit("axes", axes_, "axes that roi, scales and sizes speak of; all without");
    v.visit("coordinate_transformation_mode", coordinates_,
            "where in the input an output place lies");
    v.visit("cubic_coeff_a", cubic_a_, "the coefficient of cubic filters");
    v.visit("exclude_outside", exclude_outside_, "places outside the input have no weight");
    v.visit("extrapolation_value", extrapolation_,
            "what is outside the input, in mode tf_crop_and_resize");
    v.visit("keep_aspect_ratio_policy", policy_,
            "whether sizes 'stretch' or are bounds: 'not_larger', 'not_smaller'");
    v.visit("mode", mode_, "'nearest', 'linear' or 'cubic'");
    v.visit("nearest_mode", nearest_mode_, "how 'nearest' rounds");
  }

 protected:
  using Values = std::vector<double>;

  void check(const InferContext& c) const {
    auto one_of = [&](const char* name, const std::string& value,
                      std::initializer_list<const char*> known) {
      if (std::find(known.begin(), known.end(), value) != known.end()) return;
      std::string list;
      for (const char* k : known) list += (list.empty() ? "'" : ", '") + std::string(k) + "'";
      c.reject("{} is '{}', expected one of {}", name, value, list);
    };
    one_of("mode", mode_, {"nearest", "linear", "cubic"});
    one_of("nearest_mode", nearest_mode_,
           {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
    one_of("coordinate_transformation_mode", coordinates_,
           {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
            "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"});
    one_of("keep_aspect_ratio_policy", policy_, {"stretch", "not_larger", "not_smaller"});
    if (antialias_ && mode_ == "nearest") c.reject("antialias is for 'linear' and 'cubic' only");
    if (mode_ != "nearest" && c.dtype(0) == DType::String) {
      c.reject("mode '{}' needs numbers: {}", mode_, c.describe_input(0));
    }
    bool scales = given(c, first_ + 1), sizes = given(c, first_ + 2);
    if (scales == sizes) {
      c.reject("{} of 'scales' and 'sizes' are given, expected one", scales ? "both" : "none");
    }
    if (coordinates_ == "tf_crop_and_resize" && !given(c, first_)) {
      c.reject("coordinate_transformation_mode 'tf_crop_and_resize' needs input 'roi'");
    }
  }

  // An input that is there, and not an empty list, which means the same as none.
  static bool given(const InferContext& c, size_t i) {
    return c.has_input(i) && list_length(c, i) != 0;
  }

  std::vector<int64_t> axes_of(int64_t rank) const {
    std::vector<int64_t> axes;
    if (axes_) {
      for (int64_t a : *axes_) axes.push_back(normalize_axis(a, rank));
    } else {
      for (int64_t a = 0; a < rank; ++a) axes.push_back(a);
    }
    return axes;
  }

  // Lengths and scales of all resized axes. Throws BadInput for numbers that make no sense.
  std::vector<ResampledAxis> geometry(const Dims& in, const Values* roi, const Values* scales,
                                      const Values* sizes) const {
    std::vector<int64_t> axes = axes_of(static_cast<int64_t>(in.size()));
    auto expect = [&](const char* name, const Values& v, size_t factor) {
      if (v.size() == factor * axes.size()) return;
      fail(ErrorKind::BadInput, "'{}' has {} elements for {} axes", name, v.size(), axes.size());
    };
    if (scales) expect("scales", *scales, 1);
    if (sizes) expect("sizes", *sizes, 1);
    if (roi && !roi->empty()) expect("roi", *roi, 2);
    std::vector<ResampledAxis> result;
    for (size_t i = 0; i < axes.size(); ++i) {
      ResampledAxis a{axes[i], in[static_cast<size_t>(axes[i])]};
      if (scales) {
        set_scale(a, (*scales)[i]);
      } else {
        set_size(a, (*sizes)[i]);
      }
      if (roi && !roi->empty() && coordinates_ == "tf_crop_and_resize") {
        a.roi_begin = (*roi)[i];
        a.roi_end = (*roi)[axes.size() + i];
        if (!std::isfinite(a.roi_begin) || !std::isfinite(a.roi_end)) {
          fail(ErrorKind::BadInput, "'roi' is not finite");
        }
      }
      result.push_back(a);
    }
    if (sizes && policy_ != "stretch") keep_aspect(result);
    for (const ResampledAxis& a : result) {
      if (a.in == 0 && a.out > 0) {
        fail(ErrorKind::BadInput, "axis {} of length 0 cannot become {} long", a.axis, a.out);
      }
    }
    return result;
  }

  std::unique_ptr<ResizeState> state_for(const std::vector<ResampledAxis>& axes) const {
    auto state = std::make_unique<ResizeState>();
    state->known = true;
    state->is_nearest = mode_ == "nearest";
    state->outside = static_cast<double>(extrapolation_);
    Resampling how{mode_,      nearest_mode_,   coordinates_, static_cast<double>(cubic_a_),
                   antialias_, exclude_outside_};
    for (const ResampledAxis& a : axes) {
      bool whole = coordinates_ != "tf_crop_and_resize" || (a.roi_begin == 0 && a.roi_end == 1);
      if (a.in == a.out && std::abs(a.scale - 1) < 1e-9 && whole) continue;
      state->axes.emplace_back(static_cast<size_t>(a.axis), taps_of(how, a));
    }
    // What lies between two axes is then never larger than input and output.
    std::stable_sort(state->axes.begin(), state->axes.end(), [](const auto& a, const auto& b) {
      return a.second.outputs() * std::max<int64_t>(1, b.second.inputs) <
             b.second.outputs() * std::max<int64_t>(1, a.second.inputs);
    });
    return state;
  }

  template <typename Context>
  std::vector<ResampledAxis> geometry_of(const Context& c, const Dims& in) const {
    std::array<std::optional<Values>, 3> values;
    for (size_t k = 0; k < 3; ++k) {
      if (c.has_input(first_ + k) && c.input(first_ + k).size() > 0) {
        values[k] = to_doubles(c.input(first_ + k));
      }
    }
    auto at = [&](size_t k) { return values[k] ? &*values[k] : nullptr; };
    return geometry(in, at(0), at(1), at(2));
  }

  bool is_constant(const PrepareContext& c) const {
    for (size_t k = 0; k < 3; ++k) {
      if (c.has_input(first_ + k) && !c.constant(first_ + k)) return false;
    }
    return true;
  }

  Attributes all_attributes() const {
    Attributes a{
        {"antialias", int64_t{antialias_}},    {"coordinate_transformation_mode", coordinates_},
        {"cubic_coeff_a", cubic_a_},           {"exclude_outside", int64_t{exclude_outside_}},
        {"keep_aspect_ratio_policy", policy_}, {"mode", mode_},
        {"nearest_mode", nearest_mode_}};
    if (axes_) a["axes"] = *axes_;
    return a;
  }

  size_t first_;
  bool antialias_ = false, exclude_outside_ = false;
  std::optional<std::vector<int64_t>> axes_;
  std::string coordinates_ = "half_pixel", policy_ = "stretch", mode_ = "nearest",
              nearest_mode_ = "round_prefer_floor";
  float cubic_a_ = -0.75f, extrapolation_ = 0;

 private:
  static void set_scale(ResampledAxis& a, double scale) {
    if (!(scale > 0) || !(scale * static_cast<double>(a.in) < max_length)) {
      fail(ErrorKind::BadInput, "a scale is {} for an axis of length {}", scale, a.in);
    }
    a.scale = scale;
    // In single precision, as ONNX's shape inference and ONNX Runtime have it.
    a.out = static_cast<int64_t>(std::floor(static_cast<float>(a.in) * static_cast<float>(scale)));
  }

  static void set_size(ResampledAxis& a, double size) {
    if (!(size >= 0) || !(size < max_length)) fail(ErrorKind::BadInput, "a size is {}", size);
    a.out = static_cast<int64_t>(size);
    a.scale = a.in == 0 ? 1 : size / static_cast<double>(a.in);
  }

  void keep_aspect(std::vector<ResampledAxis>& axes) const {
    if (axes.empty()) return;
    double scale = axes[0].scale;
    for (const ResampledAxis& a : axes) {
      scale = policy_ == "not_larger" ? std::min(scale, a.scale) : std::max(scale, a.scale);
    }
    for (ResampledAxis& a : axes) {
      double length = std::floor(scale * static_cast<double>(a.in) + 0.5);
      if (!(length < max_length)) fail(ErrorKind::BadInput, "a size is {}", length);
      a.scale = scale;
      a.out = static_cast<int64_t>(length);
    }
  }
};

class Resize final : public ResizeFamily {
 public:
  Resize() : ResizeFamily(1) {}

  void infer(InferContext& c) const override {
    check(c);
    if (!c.shape(0)) return c.set_output(0, c.dtype(0));
    Shape shape = *c.shape(0);
    std::vector<int64_t> axes = axes_of(c.rank(0));
    checked_axes(c, axes, c.rank(0));
    for (size_t i : {2, 3}) {
      auto length = given(c, i) ? list_length(c, i) : std::nullopt;
      if (length && *length != static_cast<int64_t>(axes.size())) {
        c.reject("{} for {} axes of {}", c.describe_input(i), axes.size(), c.describe_input(0));
      }
    }
    const Tensor *scales = c.constant(2), *sizes = c.constant(3);
    bool known = all_known(shape) && (given(c, 2) ? scales : sizes);
    if (known) {
      Values values = to_doubles(given(c, 2) ? *scales : *sizes);
      auto result = geometry(to_dims(shape), nullptr, given(c, 2) ? &values : nullptr,
                             given(c, 2) ? nullptr : &values);
      for (const ResampledAxis& a : result) shape[static_cast<size_t>(a.axis)] = a.out;
    } else {
      infer_symbolically(c, axes, shape);
    }
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    if (!is_constant(c)) return std::make_unique<ResizeState>();
    auto state = state_for(geometry_of(c, c.input(0).dims()));
    dispatch_basic(c.input(0).dtype(),
                   [&]<typename T>() { state->name = chosen(resize_kernels<T>, *state).name; });
    return state;
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    if (c.output(0).size() == 0) return;
    const auto& prepared = c.state<ResizeState>();
    if (prepared.known) return run(c, prepared);
    run(c, *state_for(geometry_of(c, x.dims())));
  }

  // The operator is linear in its first input.
  void gradient(GradientContext& g) const override {
    for (size_t i : {1, 2}) {
      if (g.wants(i)) fail(ErrorKind::Unsupported, "no gradient flows into input {}", i);
    }
    if (!g.wants(0)) return;
    g.set(0,
          g.add("onnxrun.ResizeGrad",
                {g.grad(0), g.builder().shape_of(g.input(0)), g.input(1), g.input(2), g.input(3)},
                all_attributes()));
  }

 private:
  void infer_symbolically(const InferContext& c, const std::vector<int64_t>& axes,
                          Shape& shape) const {
    std::optional<std::vector<Dim>> sizes = c.content(3);
    const Tensor* scales = given(c, 2) ? c.constant(2) : nullptr;
    Values factors = scales ? to_doubles(*scales) : Values();
    for (size_t i = 0; i < axes.size(); ++i) {
      Dim& d = shape[static_cast<size_t>(axes[i])];
      if (given(c, 3)) {
        d = sizes && i < sizes->size() && policy_ == "stretch" ? (*sizes)[i] : Dim();
        if (d.is_known() && d.value() < 0) c.reject("a size is {}", d.value());
      } else {
        d = i < factors.size() ? scaled(d, factors[i]) : Dim();
      }
    }
  }

  static Dim scaled(const Dim& d, double scale) {
    bool plain = scale > 0 && scale < 1e6;
    if (plain && scale == std::floor(scale)) return d * Dim(static_cast<int64_t>(scale));
    double inverse = 1 / scale;
    if (scale > 1e-6 && inverse == std::floor(inverse) && scale * inverse == 1) {
      return floor_div(d, Dim(static_cast<int64_t>(inverse)));
    }
    return Dim();
  }

  void run(RunContext& c, const ResizeState& state) const {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    dispatch_basic(x.dtype(), [&]<typename T>() {
      chosen(resize_kernels<T>, state).run(state, c.control(), x, y);
    });
  }
};

class ResizeGrad final : public ResizeFamily {
 public:
  ResizeGrad() : ResizeFamily(2) {}

  void infer(InferContext& c) const override {
    check(c);
    c.set_output(0, c.dtype(0), requested_lengths(c, 1));
  }

  void run(RunContext& c) const override {
    Tensor& dx = c.output(0);
    const Tensor& dy = c.input(0);
    std::vector<ResampledAxis> axes = geometry_of(c, dx.dims());
    for (const ResampledAxis& a : axes) {
      if (dy.rank() == dx.rank() && dy.dim(a.axis) == a.out) continue;
      fail(ErrorKind::BadInput, "{} is no resized {}", dy.type_text(), dx.type_text());
    }
    auto state = state_for(axes);
    for (auto& [axis, taps] : state->axes) taps = taps.transposed();
    std::reverse(state->axes.begin(), state->axes.end());
    dispatch_float(dy.dtype(),
                   [&]<typename T>() { resample<T>(c.control(), state->axes, dy, 0, dx); });
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    g.set(0, g.add("Resize", {g.grad(0), g.input(2), g.input(3), g.input(4)}, all_attributes()));
  }

  // Products with the matrices that resizing an identity along one axis gives.
  void decompose(DecomposeContext& d) const override {
    if (policy_ != "stretch") {
      fail(ErrorKind::Unsupported, "keep_aspect_ratio_policy '{}' has no adjoint in plain ONNX",
           policy_);
    }
    Emit e(d.builder());
    ValueId dx = d.input(0), shape = d.input(1);
    int64_t rank = e.b.rank(dx);
    if (rank < 0) fail(ErrorKind::Unsupported, "the rank is not known");
    std::vector<int64_t> axes = axes_of(rank);
    auto n = static_cast<int64_t>(axes.size());
    Attributes attributes = all_attributes();
    attributes["axes"] = std::vector<int64_t>{0};
    for (int64_t i = 0; i < n; ++i) {
      int64_t axis = axes[static_cast<size_t>(i)];
      auto part = [&](size_t input, int64_t at) {
        return d.has_input(input) ? e.b.slice(d.input(input), 0, at, at + 1) : no_value;
      };
      ValueId length = e.b.slice(shape, 0, axis, axis + 1);
      ValueId square = e.fill(0, e.b.dtype(dx), e.concat({length, length}));
      ValueId eye = e("EyeLike", {square});
      bool crops = coordinates_ == "tf_crop_and_resize";
      ValueId roi = crops ? e.concat({part(2, i), part(2, n + i)}) : no_value;
      ValueId matrix = e("Resize", {eye, roi, part(3, i), part(4, i)}, attributes);
      std::vector<int64_t> perm;
      for (int64_t a = 0; a < rank; ++a) perm.push_back(a);
      std::swap(perm[static_cast<size_t>(axis)], perm.back());
      dx = e.b.transpose(e.matmul(e.b.transpose(dx, perm), matrix), perm);
    }
    d.set(0, dx);
  }
};

// Before opset 11 coordinates are not moved; where the output is smaller, `nearest` looks up.
void upgrade_resize(UpgradeContext& u) {
  if (u.opset() >= 11) return;
  GraphBuilder& b = u.builder();
  const std::string mode = u.take<std::string>("mode").value_or("nearest");
  Attributes attributes{{"coordinate_transformation_mode", std::string("asymmetric")},
                        {"mode", mode},
                        {"nearest_mode", std::string("floor")}};
  auto resize = [&](ValueId x, ValueId scales) {
    return b.add("Resize", {x, no_value, scales}, attributes);
  };
  if (mode != "nearest") return u.replace({resize(u.input(0), u.input(1))});
  ValueId one = b.scalar(1, DType::Float32);
  ValueId larger = resize(u.input(0), b.add("Max", {u.input(1), one}));
  attributes["nearest_mode"] = std::string("ceil");
  u.replace({resize(larger, b.add("Min", {u.input(1), one}))});
}

}  // namespace

void register_resize(OpRegistry& r) {
  constexpr DTypeSet roi = {DType::Float16, DType::Float32, DType::Float64};
  r.add<Resize>({.name = "Resize",
                 .doc = "a tensor scaled along its axes by interpolation",
                 .since = {10, 11, 13, 18, 19},
                 .inputs = {{"X", "T1"},
                            {"roi", "T2", Param::Kind::Optional, InputRole::Setting},
                            {"scales", "tensor(float)", Param::Kind::Optional, InputRole::Setting},
                            {"sizes", "tensor(int64)", Param::Kind::Optional, InputRole::Setting}},
                 .outputs = {{"Y", "T1"}},
                 .types = {{"T1", dtypes::basic},
                           {"T2", roi},
                           {"tensor(float)", DType::Float32},
                           {"tensor(int64)", DType::Int64}},
                 .gradient = GradientState::Rule,
                 .upgrade = upgrade_resize});
  r.add<ResizeGrad>(
      {.name = "ResizeGrad",
       .domain = private_domain,
       .doc = "the gradient of a resized tensor",
       .since = {1},
       .inputs = {{"dY", "T"},
                  {"shape", "I"},
                  {"roi", "R", Param::Kind::Optional},
                  {"scales", "S", Param::Kind::Optional},
                  {"sizes", "I", Param::Kind::Optional}},
       .outputs = {{"dX", "T"}},
       .types = {{"T", dtypes::floats}, {"I", DType::Int64}, {"R", roi}, {"S", DType::Float32}},
       .gradient = GradientState::Rule,
       .decomposes = true});
}

}  // namespace onnxrun
