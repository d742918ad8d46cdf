// Elementary functions over arrays, vectorised for the processor the program runs on.
//
// y[i] = f(x[i]) for i in [0, n); n may be 0, y may be x. An element's result depends on its value
// alone, not on n, its position or alignment: work may be split anywhere. Results are within 4 ulp
// (vgelu 5) of the exact value over the whole range, subnormals included, and NaN, infinities,
// signed zeros and arguments out of the domain give what the C library gives (vgelu and vgelu_tanh,
// vsilu: their limit 0 at -infinity). Functions here are safe to call from many threads.
#pragma once

#include <cstdint>

namespace onnxrun {

#define ONNXRUN_VECTOR_MATH(NAME)                 \
  void NAME(const float* x, float* y, int64_t n); \
  void NAME(const double* x, double* y, int64_t n);
ONNXRUN_VECTOR_MATH(vexp)
ONNXRUN_VECTOR_MATH(vexpm1)
ONNXRUN_VECTOR_MATH(vlog)
ONNXRUN_VECTOR_MATH(vlog1p)
ONNXRUN_VECTOR_MATH(vtanh)
ONNXRUN_VECTOR_MATH(vsigmoid)   // 1 / (1 + exp(-x))
ONNXRUN_VECTOR_MATH(vsilu)      // x / (1 + exp(-x))
ONNXRUN_VECTOR_MATH(vsoftplus)  // log(1 + exp(x))
ONNXRUN_VECTOR_MATH(verf)
ONNXRUN_VECTOR_MATH(vgelu)       // x * (1 + erf(x / sqrt(2))) / 2
ONNXRUN_VECTOR_MATH(vgelu_tanh)  // x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2
ONNXRUN_VECTOR_MATH(vsin)
ONNXRUN_VECTOR_MATH(vcos)
ONNXRUN_VECTOR_MATH(vsqrt)
#undef ONNXRUN_VECTOR_MATH

// out[i] = x[i]^y[i]; out may be x or y. In double this is the C library's pow, element by element.
void vpow(const float* x, const float* y, float* out, int64_t n);
void vpow(const double* x, const double* y, double* out, int64_t n);
// out[i] = x[i]^y.
void vpow(const float* x, float y, float* out, int64_t n);
void vpow(const double* x, double y, double* out, int64_t n);

// True if no element is NaN or infinite.
bool all_finite(const float* x, int64_t n);
bool all_finite(const double* x, int64_t n);

// The sum of all elements in double, added in an order that depends on n alone.
double sum_in_double(const float* x, int64_t n);
double sum_in_double(const double* x, int64_t n);

// y[i] = e^(x[i] - shift), and the sum of them, nearly as good as one in double, added in an order
// that depends on n alone; y may be x. No x[i] is above shift.
double exp_and_sum(const float* x, float shift, float* y, int64_t n);
double exp_and_sum(const double* x, double shift, double* y, int64_t n);

// The largest element, -infinity of no elements: if one is NaN, NaN or the largest of the others.
float largest_number(const float* x, int64_t n);
double largest_number(const double* x, int64_t n);

// The largest element: NaN if one is, -infinity of no elements.
float maximum(const float* x, int64_t n);
double maximum(const double* x, int64_t n);
// The smallest element: NaN if one is, infinity of no elements.
float minimum(const float* x, int64_t n);
double minimum(const double* x, int64_t n);

}  // namespace onnxrun
