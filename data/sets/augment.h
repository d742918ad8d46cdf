// Pictures of a data set, moved and mirrored at random.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace onnxrun {

struct Augment {
  size_t array = 0;         // whose samples are pictures
  int64_t shift = 0;        // at most so many pixels up, down, left and right
  bool flip = false;        // every other picture is mirrored, left and right exchanged
  int64_t height_axis = 0;  // of a sample; the width's is the next one
  Tensor fill;              // a sample of what lies beyond the edges
};

// Changes the samples of a batch, which lie one after the other in it. What happens to a sample is
// a function of seed, epoch and the sample's number alone (Philox, from base/random.h).
void augment_batch(const Augment& augment, std::span<const int64_t> samples, uint64_t seed,
                   uint64_t epoch, Tensor& batch);

}  // namespace onnxrun
