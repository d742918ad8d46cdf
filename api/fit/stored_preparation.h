// The preparation of data in a model's metadata.
#pragma once

#include <string>

#include "graph/graph.h"
#include "onnxrun/preparation.h"

namespace onnxrun {

inline constexpr const char* preparation_key = "onnxrun.data";

// Throws BadModel if it is damaged.
Preparation stored_preparation(const Graph& graph);
// The same as JSON.
std::string preparation_text(const Preparation& preparation);

// For people: "times 0.00392157, standardized".
std::string summary_of(const PreparedInput& input);

// Throws what save_prepared() would with `bake`.
void check_bakeable(const Model& model, const Preparation& preparation);

// Writes the model with other weights and with the preparation in its metadata, over what these
// have for the same inputs and outputs. With `bake`, nodes behind the inputs do what happened to
// these, and nothing is left to remember of it. Throws as Model::save(), and Unsupported for an
// input that cannot be computed with.
void save_prepared(const Model& model, const std::map<std::string, Tensor>& weights,
                   const Preparation& preparation, bool bake, const std::string& path,
                   bool in_place);

}  // namespace onnxrun
