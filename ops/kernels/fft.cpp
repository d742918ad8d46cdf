#include "kernels/fft.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace onnxrun {

namespace {

using Complex = std::complex<double>;

// exp(-2 pi i k / n) for 0 <= k < n.
Complex turn(int64_t k, int64_t n) {
  double angle = -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
  return {std::cos(angle), std::sin(angle)};
}

// Without the checks for infinities that the operator of std::complex makes.
Complex product(const Complex& a, const Complex& b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

bool is_power_of_two(int64_t n) { return (n & (n - 1)) == 0; }

int64_t power_of_two_from(int64_t n) {
  int64_t p = 1;
  while (p < n) p *= 2;
  return p;
}

int64_t transform_size(int64_t length) {
  return is_power_of_two(length) ? length : power_of_two_from(2 * length - 1);
}

}  // namespace

int64_t Fft::bytes_for(int64_t length) {
  int64_t size = transform_size(length);
  return static_cast<int64_t>(sizeof(Complex)) * (size / 2 + 2 * size + 2 * length);
}

Fft::Fft(int64_t length) : length_(length), size_(transform_size(length)) {
  for (int64_t k = 0; k < size_ / 2; ++k) turns_.push_back(turn(k, size_));
  if (size_ == length_) return;
  // k^2 modulo 2n, added up, as the square itself would lose the low bits.
  for (int64_t k = 0, square = 0; k < length_; ++k) {
    chirp_.push_back(turn(square, 2 * length_));
    square = (square + 2 * k + 1) % (2 * length_);
  }
  filter_.assign(static_cast<size_t>(size_), Complex(0));
  for (int64_t k = 0; k < length_; ++k) {
    Complex c = std::conj(chirp_[static_cast<size_t>(k)]) / static_cast<double>(size_);
    filter_[static_cast<size_t>(k)] = c;
    filter_[static_cast<size_t>((size_ - k) % size_)] = c;
  }
  forward_power(filter_.data());
}

void Fft::forward_power(Complex* x) const {
  for (int64_t i = 1, j = 0; i < size_; ++i) {
    int64_t bit = size_ / 2;
    for (; (j & bit) != 0; bit /= 2) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (int64_t half = 1; half < size_; half *= 2) {
    int64_t step = size_ / (2 * half);
    for (int64_t block = 0; block < size_; block += 2 * half) {
      for (int64_t k = 0; k < half; ++k) {
        Complex &a = x[block + k], &b = x[block + half + k];
        Complex t = product(turns_[static_cast<size_t>(k * step)], b);
        b = a - t;
        a += t;
      }
    }
  }
}

void Fft::run(Complex* x, bool inverse, std::vector<Complex>& work) const {
  auto conjugate = [&](Complex* v) {
    for (int64_t k = 0; k < length_; ++k) v[k] = std::conj(v[k]);
  };
  if (inverse) conjugate(x);
  if (chirp_.empty()) {
    forward_power(x);
  } else {
    work.assign(static_cast<size_t>(size_), Complex(0));
    for (size_t k = 0; k < chirp_.size(); ++k) work[k] = product(x[k], chirp_[k]);
    forward_power(work.data());
    // The way back is a forward transform of conjugates.
    for (size_t k = 0; k < work.size(); ++k) work[k] = std::conj(product(work[k], filter_[k]));
    forward_power(work.data());
    for (size_t k = 0; k < chirp_.size(); ++k) x[k] = product(std::conj(work[k]), chirp_[k]);
  }
  if (inverse) conjugate(x);
}

}  // namespace onnxrun
