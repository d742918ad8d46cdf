// The training step as a model for any runtime.
#pragma once

#include "training/training_graph.h"

namespace onnxrun {

// The step without private operators and without state bindings. Its inputs are those of
// `training.graph`; its outputs are "loss", then NAME::next for each of `training.state`, in that
// order: fed back as NAME they make the next step. Throws Unsupported naming the node if an
// operator has no form in standard ONNX.
Graph make_step_model(const TrainingGraph& training);

}  // namespace onnxrun
