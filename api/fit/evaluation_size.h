// How many samples an evaluation takes at a time.
#pragma once

#include <cstdint>

#include "fit/model_data.h"
#include "onnxrun/trainer.h"
#include "training/loss.h"

namespace onnxrun {

// `batch_size`, or `larger` samples where their loss is the same and they need little memory: one
// run of many samples costs less than many runs of few. The trainer's evaluation is bound anew.
int64_t evaluation_size(Trainer& trainer, const ModelData& data, Reduction reduction,
                        int64_t batch_size, int64_t larger);

}  // namespace onnxrun
