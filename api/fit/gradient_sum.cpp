#include "fit/gradient_sum.h"

#include <algorithm>

#include "base/error.h"

namespace onnxrun {

namespace {

// sum += weight * values
template <typename T>
void add_scaled(Tensor& sum, const Tensor& values, double weight) {
  T* s = sum.data<T>();
  const T* v = values.data<T>();
  auto w = static_cast<T>(weight);
  for (int64_t i = 0; i < sum.size(); ++i) s[i] += w * v[i];
}

template <typename T>
void divide(const Tensor& sum, double weight, Tensor& result) {
  const T* s = sum.data<T>();
  auto w = static_cast<T>(weight);
  std::transform(s, s + sum.size(), result.data<T>(), [w](T v) { return v / w; });
}

}  // namespace

void GradientSum::start() {
  const Tensor& values = trainer_.gradient_buffer().values;
  if (values.dtype() != DType::Float32 && values.dtype() != DType::Float64) {
    fail(ErrorKind::Unsupported, "gradients of type {} are not added up; train in float64",
         to_string(values.dtype()));
  }
  if (!sum_.defined()) sum_ = Tensor(values.dtype(), values.dims());
  std::fill_n(sum_.raw(), sum_.bytes(), std::byte{0});
  loss_ = weight_ = 0;
}

void GradientSum::add(double loss, int64_t samples) {
  double weight = reduction_ == Reduction::Mean ? static_cast<double>(samples) : 1;
  Tensor values = trainer_.gradient_buffer().values;
  if (sum_.dtype() == DType::Float32) {
    add_scaled<float>(sum_, values, weight);
  } else {
    add_scaled<double>(sum_, values, weight);
  }
  loss_ += weight * loss;
  weight_ += weight;
}

void GradientSum::write() {
  double by = reduction_ == Reduction::Mean ? weight_ : 1;
  Tensor values = trainer_.gradient_buffer().values;
  if (sum_.dtype() == DType::Float32) {
    divide<float>(sum_, by, values);
  } else {
    divide<double>(sum_, by, values);
  }
  loss_ /= by;
}

}  // namespace onnxrun
