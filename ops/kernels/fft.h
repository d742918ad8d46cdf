// The discrete Fourier transform of any length.
#pragma once

#include <complex>
#include <cstdint>
#include <vector>

namespace onnxrun {

// Tables for transforms of one length; immutable, so threads may share it. Takes O(n log n) time
// and O(n) memory, whatever n is made of: powers of two by Cooley and Tukey 1965, others by
// Bluestein 1970, "A linear filtering approach to the computation of the discrete Fourier
// transform".
class Fft {
 public:
  explicit Fft(int64_t length);  // length >= 1

  int64_t length() const { return length_; }
  // Bytes that the tables and the work space of one thread take for a length; so that the caller
  // may ask first. `length` must be at most 2^48.
  static int64_t bytes_for(int64_t length);

  // x[k] becomes the sum of x[n] exp(-2 pi i k n / length), or with +2 pi i if `inverse`; unscaled.
  // `work` is resized as needed.
  void run(std::complex<double>* x, bool inverse, std::vector<std::complex<double>>& work) const;

 private:
  using Complex = std::complex<double>;

  void forward_power(Complex* x) const;

  int64_t length_;
  int64_t size_ = 1;             // of the power-of-two transform
  std::vector<Complex> turns_;   // exp(-2 pi i k / size), k < size / 2
  std::vector<Complex> chirp_;   // exp(-pi i k^2 / length); empty for powers of two
  std::vector<Complex> filter_;  // the transformed conjugate chirp, over size
};

}  // namespace onnxrun
