// DFT.
#include <complex>

#include "base/threads.h"
#include "graph/upgrade_context.h"
#include "kernels/composed.h"
#include "kernels/fft.h"
#include "kernels/scalar.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

constexpr int64_t max_dft_length = int64_t{1} << 40;

using Complex = std::complex<double>;

// One line of the signal, and one of the spectrum, in elements of the tensors.
struct Lines {
  int64_t in_length, in_parts;    // parts of a complex number: 1 or 2
  int64_t out_length, out_parts;  // likewise
  int64_t inner;                  // numbers between two of a line
};

class Dft final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("inverse", inverse_, "the inverse transform, over the length");
    v.visit("onesided", onesided_,
            "of real signals half the spectrum, from half of it with inverse");
  }

  void infer(InferContext& c) const override {
    const Shape* x = c.shape(0);
    if (!x) return c.set_output(0, c.dtype(0));
    auto rank = static_cast<int64_t>(x->size());
    if (rank < 2) c.reject("{}, expected [..., signal, 1 or 2]", c.describe_input(0));
    check_parts(c, x->back());
    Shape y(x->size());
    y.back() = real_result() ? 1 : 2;
    std::optional<int64_t> axis = axis_of(c, rank);
    if (axis) {
      std::copy(x->begin(), x->end() - 1, y.begin());
      Dim length = length_of(c, (*x)[static_cast<size_t>(*axis)]);
      if (length.is_known()) check_length(length.value());
      if (onesided_ && !inverse_) length = floor_div(length, Dim(2)) + Dim(1);
      y[static_cast<size_t>(*axis)] = length;
    }
    c.set_output(0, c.dtype(0), std::move(y));
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor& y = c.output(0);
    int64_t axis = axis_in(c.has_input(2) ? scalar_of<int64_t>(c.input(2), "axis") : -2, x.rank());
    int64_t length =
        c.has_input(1) ? scalar_of<int64_t>(c.input(1), "dft_length") : default_length(x.dim(axis));
    check_length(length);
    if (y.size() == 0) return;
    Lines s{x.dim(axis), x.dims().back(), y.dim(axis), y.dims().back(), 1};
    for (int64_t i = axis + 1; i + 1 < x.rank(); ++i) s.inner *= x.dim(i);
    int64_t lines = y.size() / (s.out_length * s.out_parts);
    c.control().require(1, Fft::bytes_for(length), "tables of a transform");
    const Fft fft(length);
    dispatch_float(x.dtype(), [&]<typename T>() {
      const T* in = x.data<T>();
      T* out = y.data<T>();
      parallel_for(lines, std::max<int64_t>(1, 4096 / length), [&](int64_t begin, int64_t end) {
        std::vector<Complex> line, work;
        for (int64_t l = begin; l < end; ++l) {
          int64_t outer = l / s.inner, at = l % s.inner;
          read(s, in + (outer * s.in_length * s.inner + at) * s.in_parts, length, line);
          fft.run(line.data(), inverse_, work);
          write(s, line, out + (outer * s.out_length * s.inner + at) * s.out_parts);
        }
      });
    });
  }

  // y = F x has x' = F^H y', which is the transform in the other direction, scaled; of real signals
  // its real part. What padding added is cut off, what was cut off got nothing.
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    const Emit e(g.builder());
    ValueId x = g.input(0), dy = g.grad(0);
    ValueId axis = g.has_input(2) ? g.input(2) : e.b.int_scalar(-2);
    axis = e.b.reshape(axis, e.b.ints({1}));
    ValueId own = e("Gather", {e.b.shape_of(x), axis}), n = own;
    if (g.has_input(1)) {
      n = e.b.reshape(e.b.cast(g.input(1), DType::Int64), e.b.ints({1}));
    } else if (real_result()) {
      n = e.mul(e.sub(own, e.b.ints({1})), e.b.ints({2}));
    }
    ValueId length = e.b.squeeze(n, {0}), along = e.b.squeeze(axis, {0});
    ValueId count = e.b.cast(length, e.b.dtype(x)), dx = no_value;
    if (real_result()) {
      dx = e("DFT", {dy, length, along}, {{"onesided", int64_t{1}}});
      dx = e.div(e.mul(dx, uses(e, x, n, axis)), count);
    } else if (inverse_) {
      dx = e.div(e("DFT", {dy, length, along}), count);
    } else {
      dx = e.mul(e("DFT", {dy, length, along}, {{"inverse", int64_t{1}}}), count);
    }
    const Type type = e.b.type(x);
    if (!type.shape || !type.shape->back().is_known()) {
      fail(ErrorKind::Unsupported, "whether the signal is real is not known");
    }
    if (type.shape->back() == Dim(1)) dx = e.b.slice(dx, -1, 0, 1);
    ValueId more = e.sub(own, e("Gather", {e.b.shape_of(dx), axis}));
    g.set(0, e("Pad", {dx, e.concat({e.b.ints({0}), more}), no_value, axis}));
  }

 private:
  bool real_result() const { return inverse_ && onesided_; }
  int64_t default_length(int64_t own) const { return real_result() ? 2 * (own - 1) : own; }

  static void check_length(int64_t length) {
    if (length < 1 || length > max_dft_length) {
      fail(ErrorKind::BadInput, "the transform's length is {}, expected 1 or more", length);
    }
  }

  static int64_t axis_in(int64_t axis, int64_t rank) {
    int64_t result = normalize_axis(axis, rank);
    if (result == rank - 1) fail(ErrorKind::BadInput, "axis {} is that of complex parts", axis);
    return result;
  }

  void check_parts(const InferContext& c, const Dim& parts) const {
    if (!parts.is_known()) return;
    if (parts.value() != 1 && parts.value() != 2) {
      c.reject("{}, expected 1 or 2 parts in the last axis", c.describe_input(0));
    }
    if (onesided_ && parts.value() != (inverse_ ? 2 : 1)) {
      c.reject("{}, expected {} numbers for a transform that is onesided", c.describe_input(0),
               inverse_ ? "complex" : "real");
    }
  }

  static std::optional<int64_t> axis_of(const InferContext& c, int64_t rank) {
    if (!c.has_input(2)) return axis_in(-2, rank);
    const Tensor* axis = c.constant(2);
    if (!axis) return std::nullopt;
    return axis_in(scalar_of<int64_t>(*axis, "axis"), rank);
  }

  Dim length_of(const InferContext& c, const Dim& own) const {
    if (!c.has_input(1)) return real_result() ? (own - Dim(1)) * Dim(2) : own;
    auto content = c.content(1);
    return content && content->size() == 1 ? (*content)[0] : Dim();
  }

  // The line, cut or padded with zeros to `length`; the other half of one that is onesided.
  template <typename T>
  void read(const Lines& s, const T* in, int64_t length, std::vector<Complex>& line) const {
    line.assign(static_cast<size_t>(length), Complex(0));
    int64_t step = s.inner * s.in_parts, count = real_result() ? length / 2 + 1 : length;
    for (int64_t k = 0; k < std::min(count, s.in_length); ++k) {
      const T* v = in + k * step;
      line[static_cast<size_t>(k)] = {static_cast<double>(v[0]),
                                      s.in_parts == 2 ? static_cast<double>(v[1]) : 0};
    }
    if (!real_result()) return;
    line[0].imag(0);
    if (length % 2 == 0) line[static_cast<size_t>(length / 2)].imag(0);
    for (int64_t k = 1; k <= (length - 1) / 2; ++k) {
      line[static_cast<size_t>(length - k)] = std::conj(line[static_cast<size_t>(k)]);
    }
  }

  template <typename T>
  void write(const Lines& s, const std::vector<Complex>& line, T* out) const {
    auto narrow = [](double v) {
      if constexpr (std::is_same_v<T, double>) return v;
      return static_cast<T>(static_cast<float>(v));
    };
    double scale = inverse_ ? 1 / static_cast<double>(line.size()) : 1;
    for (int64_t k = 0; k < s.out_length; ++k) {
      T* v = out + k * s.inner * s.out_parts;
      v[0] = narrow(line[static_cast<size_t>(k)].real() * scale);
      if (s.out_parts == 2) v[1] = narrow(line[static_cast<size_t>(k)].imag() * scale);
    }
  }

  // How often a number of half a spectrum is in the whole: twice, but for the first and, of an even
  // length, the last. As it broadcasts along the axis.
  static ValueId uses(const Emit& e, ValueId x, ValueId n, ValueId axis) {
    ValueId two = e.b.ints({2}), one = e.b.ints({1}), rank = e("Size", {e.b.shape_of(x)});
    ValueId k = e.range(e.add(e.div(n, two), one)), twice = e.mul(k, two);
    ValueId once = e("Or", {e.equal(k, e.b.ints({0})), e.equal(twice, n)});
    ValueId count = e.b.cast(e.where(once, one, two), e.b.dtype(x));
    ValueId ones = e("Expand", {one, e.b.unsqueeze(rank, {0})});
    ValueId place = e("Mod", {axis, rank});
    return e.b.reshape(count, e("ScatterElements", {ones, place, e("Shape", {k})}));
  }

  bool inverse_ = false, onesided_ = false;
};

// The axis was an attribute, and another one where there was none.
void upgrade_dft(UpgradeContext& u) {
  if (u.opset() >= 20) return;
  u.set_input(2, u.builder().int_scalar(u.take<int64_t>("axis").value_or(1)));
}

}  // namespace

void register_dft(OpRegistry& r) {
  r.add<Dft>(
      {.name = "DFT",
       .doc = "the discrete Fourier transform along an axis",
       .since = {17, 20},
       .inputs = {{"input", "T1"},
                  {"dft_length", "T2", Param::Kind::Optional},
                  {"axis", "tensor(int64)", Param::Kind::Optional}},
       .outputs = {{"output", "T1"}},
       .types = {{"T1", dtypes::floats}, {"T2", dtypes::index}, {"tensor(int64)", DType::Int64}},
       .upgrade = upgrade_dft});
}

}  // namespace onnxrun
