// Random numbers of nodes without a seed.
#pragma once

#include "base/random.h"

namespace onnxrun {

// Draws without a seed are numbered over the whole program, and each has a stream of random numbers
// of its own: no two are alike, and a program that repeats its runs repeats their numbers.
// Thread-safe.
Philox next_draw();

// Numbers them anew from here on, for another seed than 0. Not while something runs.
void seed_draws(uint64_t seed);

// The numbers that node `node` of a training step draws: a function of these three alone.
inline Philox step_draw(int64_t seed, int64_t step, int64_t node) {
  return Philox(static_cast<uint64_t>(seed),
                static_cast<uint64_t>(step) << 20 ^ static_cast<uint64_t>(node));
}

}  // namespace onnxrun
