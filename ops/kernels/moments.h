// The sums that normalisations need, and what they make of them, in float and double.
#pragma once

#include <cstdint>

namespace onnxrun {

// Rows of `length` elements, `step` apart.
struct Stretches {
  int64_t count, step, length;
};

// Sums are those of lane_sum() (normalize.h) of a row, bit by bit, and those of rows are added in
// their order.
double sum_of(const float* x, const Stretches& s);
double sum_of(const double* x, const Stretches& s);
// The sum of (x - centre)^2.
double sum_of_squares(const float* x, const Stretches& s, float centre);
double sum_of_squares(const double* x, const Stretches& s, double centre);

// Two sums of one reading.
struct TwoSums {
  double first = 0, second = 0;
};
// The sums of dy and of x.
TwoSums sums_of(const float* dy, const float* x, const Stretches& s);
TwoSums sums_of(const double* dy, const double* x, const Stretches& s);
// The sums of dy (x - centre) and of (x - centre)^2.
TwoSums centred_sums(const float* dy, const float* x, const Stretches& s, float centre);
TwoSums centred_sums(const double* dy, const double* x, const Stretches& s, double centre);

inline double sum_of(const auto* x, int64_t n) { return sum_of(x, Stretches{1, 0, n}); }
template <typename T>
double sum_of_squares(const T* x, int64_t n, T centre) {
  return sum_of_squares(x, Stretches{1, 0, n}, centre);
}

// What a normalisation of given statistics is, and its gradient:
//     y = (x - mean) factor + bias
//     dx = (dy - mean_dy - (x - mean) slope) factor
template <typename T>
struct NormalizedRow {
  T mean, factor, bias;
};
void normalize_row(const NormalizedRow<float>& r, const float* x, int64_t n, float* y);
void normalize_row(const NormalizedRow<double>& r, const double* x, int64_t n, double* y);

template <typename T>
struct NormalizedRowGradient {
  T mean, factor, mean_dy, slope;
};
void normalize_row_gradient(const NormalizedRowGradient<float>& r, const float* dy, const float* x,
                            int64_t n, float* dx);
void normalize_row_gradient(const NormalizedRowGradient<double>& r, const double* dy,
                            const double* x, int64_t n, double* dx);

// The same with a scale and a bias for each element, null where there is none:
//     y = h scale + bias,  h = (x - mean) factor
template <typename T>
struct ScaledRow {
  T mean, factor;
  const T *scale, *bias;
};
void normalize_row(const ScaledRow<float>& r, const float* x, int64_t n, float* y);
void normalize_row(const ScaledRow<double>& r, const double* x, int64_t n, double* y);

// Its gradient where mean and factor are those of the row itself. `sums`, if not null, has 2 n
// elements: to the first n is added what flows to the scale, to the others what flows to the bias.
//     dx = (g - mean(g) - h mean(g h)) factor,  g = dy scale
template <typename T>
struct ScaledRowGradient {
  T mean, factor;
  const T* scale;
  T* sums;
};
void normalize_row_gradient(const ScaledRowGradient<float>& r, const float* dy, const float* x,
                            int64_t n, float* dx);
void normalize_row_gradient(const ScaledRowGradient<double>& r, const double* dy, const double* x,
                            int64_t n, double* dx);

}  // namespace onnxrun
