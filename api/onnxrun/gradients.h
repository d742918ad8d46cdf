// Gradients without a training: a model of their own.
#pragma once

#include <string>
#include <vector>

#include "onnxrun/model.h"

namespace onnxrun {

// The model that computes, for each of `wrt`, the vector-Jacobian product
//
//     sum_k cotangent_k . d of_k / d wrt
//
// as output WRT::gradient, in the type and shape of WRT (zeros where nothing flows). `of` and `wrt`
// are floating-point values of the graph: inputs, outputs, initializers, inner ones. Ones flow into
// `of`; with `cotangents`, what is given for the further inputs OF::cotangent. The inputs are those
// of `model` that the gradients depend on.
//
// A Session runs it, with bound memory without allocating, and computes other values beside the
// gradients if its `outputs` name them. The gradient of a gradient model are second derivatives;
// names that are taken get a number then. Weights are shared with `model`, but for
// `double_precision`, which computes in double from inputs in double.
//
// Throws BadInput for a name that the graph does not have, or that stands for no floating-point
// tensor, Unsupported naming node and operator where an operator has no gradient.
Model gradient_model(const Model& model, const std::vector<std::string>& of,
                     const std::vector<std::string>& wrt, bool cotangents = false,
                     bool double_precision = false);

}  // namespace onnxrun
