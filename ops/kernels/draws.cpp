#include "kernels/draws.h"

#include <atomic>

namespace onnxrun {

static std::atomic<uint64_t> draws = 0, draw_seed = 0;

Philox next_draw() {
  return Philox(draw_seed.load(std::memory_order_relaxed),
                draws.fetch_add(1, std::memory_order_relaxed));
}

void seed_draws(uint64_t seed) {
  draw_seed = seed;
  draws = 0;
}

}  // namespace onnxrun
