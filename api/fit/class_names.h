// Classes that the data give by name.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "tensor/tensor.h"

namespace onnxrun {

using ClassNames = std::vector<std::string>;  // by index

// The names that the labels use, sorted. Throws BadInput for a label that is missing.
ClassNames names_of_labels(const std::string& target, const Tensor& labels);

// True if every label is one of `names`.
bool are_known(const Tensor& labels, const ClassNames& names);

// The labels as int64 indices into `names`. Throws BadInput naming one that is none of them.
Tensor class_indices(const std::string& target, const Tensor& labels, const ClassNames& names);

// "'a' 0, 'b' 1"
std::string class_list(const ClassNames& names);

}  // namespace onnxrun
