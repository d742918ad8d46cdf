// Random numbers that are the same on every machine and for any number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace onnxrun {

// NumPy's legacy generator: numpy.random.seed(seed) is MT19937 with init_genrand, and
// numpy.random.random_sample() is genrand_res53. ONNX's reference draws Dropout masks from it.
class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed) : engine_(seed) {}

  uint32_t next_u32() { return static_cast<uint32_t>(engine_()); }
  // random_sample(): [0, 1) with 53 bits.
  double uniform();
  // numpy.random.uniform(low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

 private:
  std::mt19937 engine_;
};

// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
//
// A function, not a sequence: the n-th number depends on seed, stream and n alone, so threads may
// fill pieces of a tensor in any order. Streams of one seed are independent (one for each node,
// epoch...).
class Philox {
 public:
  using Block = std::array<uint32_t, 4>;

  explicit Philox(uint64_t seed, uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  // The bare function of the paper.
  static Block block(Block counter, std::array<uint32_t, 2> key);

  // 128 random bits, one block for each index.
  Block block(uint64_t index) const;
  uint64_t u64(uint64_t index) const;
  // [0, 1) with 53 bits.
  double uniform(uint64_t index) const;
  // [0, 1) with 24 bits: exact in float.
  float uniform_float(uint64_t index) const;
  // Mean 0, standard deviation 1 (Box and Muller).
  double normal(uint64_t index) const;
  // Unbiased in [0, bound), bound >= 1.
  uint64_t below(uint64_t index, uint64_t bound) const;

 private:
  uint64_t seed_, stream_;
};

// Fisher and Yates: from the last element down, element i is swapped with one of [0, i], drawn as
// random.below(i, i + 1). The permutation depends on the generator and the length alone.
template <typename T>
void shuffle(std::span<T> values, const Philox& random) {
  for (uint64_t i = values.size(); i-- > 1;) {
    std::swap(values[i], values[random.below(i, i + 1)]);
  }
}

}  // namespace onnxrun
