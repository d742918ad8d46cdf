// BlackmanWindow, HammingWindow, HannWindow, MelWeightMatrix.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/scalar.h"

namespace onnxrun {

namespace {

constexpr DTypeSet numbers_of = dtypes::numeric;

// y[i] = f(i) in the output's type.
template <typename F>
void fill(Tensor& y, const F& f) {
  dispatch_numeric(y.dtype(), [&]<typename T>() {
    T* out = y.data<T>();
    for (int64_t i = 0; i < y.size(); ++i)
      out[i] = static_cast<T>(static_cast<ComputeType<T>>(f(i)));
  });
}

void check_type(const InferContext& c, DType type) {
  if (!numbers_of.contains(type)) c.reject("attribute 'output_datatype' is {}", to_string(type));
}

// Input i, which is one length, as far as it is known.
Dim length_of(const InferContext& c, size_t i, std::string_view name) {
  Dim length;
  if (c.shape(i)) {
    Dim count = element_count(*c.shape(i));
    if (count.is_known() && count.value() != 1)
      c.reject("{}, expected one number", c.describe_input(i));
  }
  if (auto n = c.ints(i); n && n->size() == 1) {
    length = (*n)[0];
  } else if (auto content = c.content(i); content && content->size() == 1) {
    length = (*content)[0];
  }
  if (length.is_known() && length.value() < 0) c.reject("{} is {}", name, length.value());
  return length;
}

// A sum of cosines: a0 - a1 cos(2 pi i / N) + a2 cos(4 pi i / N), where N is the size, or one less
// if the window is symmetric.
class CosineWindow final : public Op {
 public:
  CosineWindow(double a0, double a1, double a2) : a_{a0, a1, a2} {}

  void attributes(AttributeVisitor& v) override {
    v.visit("output_datatype", type_, "element type of the output");
    v.visit("periodic", periodic_, "one period, else symmetric");
  }

  void infer(InferContext& c) const override {
    check_type(c, type_);
    c.set_output(0, type_, Shape{length_of(c, 0, "size")});
  }

  void run(RunContext& c) const override {
    Tensor& y = c.output(0);
    double period = static_cast<double>(periodic_ ? y.size() : y.size() - 1);
    fill(y, [&](int64_t i) {
      if (period == 0) return 1.0;
      double angle = 2 * std::numbers::pi * static_cast<double>(i) / period;
      double first = a_[0] - a_[1] * std::cos(angle);
      return a_[2] == 0 ? first : first + a_[2] * std::cos(2 * angle);
    });
  }

 private:
  double a_[3];
  DType type_ = DType::Float32;
  bool periodic_ = true;
};

// Triangles whose corners are evenly spaced on the mel scale.
class MelWeightMatrix final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("output_datatype", type_, "element type of the output");
  }

  void infer(InferContext& c) const override {
    check_type(c, type_);
    Dim bins = length_of(c, 0, "num_mel_bins");
    c.set_output(0, type_, Shape{floor_div(length_of(c, 1, "dft_length"), Dim(2)) + 1, bins});
  }

  void run(RunContext& c) const override {
    Tensor& y = c.output(0);
    auto length = scalar_of<int64_t>(c.input(1), "dft_length");
    auto rate = scalar_of<int64_t>(c.input(2), "sample_rate");
    double low = scalar_of<double>(c.input(3), "lower_edge_hertz");
    double high = scalar_of<double>(c.input(4), "upper_edge_hertz");
    if (rate < 1) fail(ErrorKind::BadInput, "sample_rate is {}", rate);
    if (!(low >= 0 && high >= low && high < 1e12)) {
      fail(ErrorKind::BadInput, "the edges are {} and {}", low, high);
    }
    const int64_t rows = y.dim(0), bins = y.dim(1);
    auto mel = [](double hertz) { return 2595 * std::log1p(hertz / 700) / std::numbers::ln10; };
    double first = mel(low), step = (mel(high) - first) / static_cast<double>(bins + 2);
    auto corner = [&](int64_t k) {
      double mels = first + static_cast<double>(k) * step;
      double hertz = 700 * std::expm1(mels / 2595 * std::numbers::ln10);
      double place =
          std::floor((static_cast<double>(length) + 1) * hertz / static_cast<double>(rate));
      if (!(place < static_cast<double>(rows))) {
        fail(ErrorKind::BadInput, "an edge of {} hertz is above half the sample rate {}", hertz,
             rate);
      }
      return static_cast<int64_t>(place);
    };
    std::vector<double> weights(static_cast<size_t>(y.size()), 0);
    auto at = [&](int64_t row, int64_t bin) -> double& {
      return weights[static_cast<size_t>(row * bins + bin)];
    };
    for (int64_t bin = 0; bin < bins; ++bin) {
      int64_t left = corner(bin), top = corner(bin + 1), right = corner(bin + 2);
      auto ratio = [](int64_t a, int64_t b) {
        return static_cast<double>(a) / static_cast<double>(b);
      };
      if (left == top) at(top, bin) = 1;
      for (int64_t j = left; left != top && j <= top; ++j) at(j, bin) = ratio(j - left, top - left);
      for (int64_t j = top; top != right && j < right; ++j)
        at(j, bin) = ratio(right - j, right - top);
    }
    fill(y, [&](int64_t i) { return weights[static_cast<size_t>(i)]; });
  }

 private:
  DType type_ = DType::Float32;
};

}  // namespace

void register_windows(OpRegistry& r) {
  auto add = [&](std::string_view name, std::string_view doc, double a0, double a1, double a2) {
    r.add({.name = name,
           .doc = doc,
           .since = {17},
           .inputs = {{"size", "T1"}},
           .outputs = {{"output", "T2"}},
           .types = {{"T1", dtypes::index}, {"T2", numbers_of}},
           .gradient = GradientState::NotDifferentiable},
          [=] { return std::make_shared<CosineWindow>(a0, a1, a2); });
  };
  add("BlackmanWindow", "0.42 - 0.5 cos + 0.08 cos of the double angle", 0.42, 0.5, 0.08);
  add("HannWindow", "0.5 - 0.5 cos", 0.5, 0.5, 0);
  add("HammingWindow", "25 / 46 - 21 / 46 cos", 25.0 / 46, 21.0 / 46, 0);
  r.add<MelWeightMatrix>(
      {.name = "MelWeightMatrix",
       .doc = "weights that gather a spectrum into bands of equal width in mel",
       .since = {17},
       .inputs = {{"num_mel_bins", "T1"},
                  {"dft_length", "T1"},
                  {"sample_rate", "T1"},
                  {"lower_edge_hertz", "T2"},
                  {"upper_edge_hertz", "T2"}},
       .outputs = {{"output", "T3"}},
       .types = {{"T1", dtypes::index}, {"T2", dtypes::floats}, {"T3", numbers_of}},
       .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
