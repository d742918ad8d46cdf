#include "base/random.h"

#include <cmath>
#include <numbers>

namespace onnxrun {

namespace {

__extension__ typedef unsigned __int128 Wide;

std::pair<uint32_t, uint32_t> multiply(uint32_t a, uint32_t b) {
  uint64_t product = static_cast<uint64_t>(a) * b;
  return {static_cast<uint32_t>(product >> 32), static_cast<uint32_t>(product)};
}

uint64_t join(uint32_t low, uint32_t high) { return static_cast<uint64_t>(high) << 32 | low; }

double unit_double(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

}  // namespace

double NumpyRandom::uniform() {
  uint32_t a = next_u32() >> 5, b = next_u32() >> 6;
  return (a * 67108864.0 + b) / 9007199254740992.0;
}

Philox::Block Philox::block(Block c, std::array<uint32_t, 2> key) {
  constexpr uint32_t m0 = 0xD2511F53, m1 = 0xCD9E8D57, w0 = 0x9E3779B9, w1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    auto [high0, low0] = multiply(m0, c[0]);
    auto [high1, low1] = multiply(m1, c[2]);
    c = {high1 ^ c[1] ^ key[0], low1, high0 ^ c[3] ^ key[1], low0};
    key[0] += w0;
    key[1] += w1;
  }
  return c;
}

Philox::Block Philox::block(uint64_t index) const {
  auto low = [](uint64_t v) { return static_cast<uint32_t>(v); };
  auto high = [](uint64_t v) { return static_cast<uint32_t>(v >> 32); };
  return block({low(index), high(index), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
}

uint64_t Philox::u64(uint64_t index) const {
  Block b = block(index);
  return join(b[0], b[1]);
}

double Philox::uniform(uint64_t index) const { return unit_double(u64(index)); }

float Philox::uniform_float(uint64_t index) const {
  return static_cast<float>(block(index)[0] >> 8) * 0x1p-24f;
}

double Philox::normal(uint64_t index) const {
  Block b = block(index);
  // 1 - u is in (0, 1], where the logarithm is finite.
  double radius = std::sqrt(-2 * std::log(1 - unit_double(join(b[0], b[1]))));
  return radius * std::cos(2 * std::numbers::pi * unit_double(join(b[2], b[3])));
}

uint64_t Philox::below(uint64_t index, uint64_t bound) const {
  // Lemire, "Fast Random Integer Generation in an Interval" (2019): the high half of a product is
  // uniform once the few low halves that would be drawn too often are rejected. A rejected draw
  // takes its successor from the same index with another key.
  uint64_t threshold = (0 - bound) % bound;
  for (uint64_t seed = seed_;; seed += 0x9E3779B97F4A7C15u) {
    auto product = static_cast<Wide>(Philox(seed, stream_).u64(index)) * bound;
    if (static_cast<uint64_t>(product) >= threshold) return static_cast<uint64_t>(product >> 64);
  }
}

}  // namespace onnxrun
