// A data set as one model takes it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fit/standardizer.h"
#include "graph/graph.h"
#include "onnxrun/feed.h"
#include "onnxrun/session.h"
#include "sets/dataset.h"

namespace onnxrun {

// What an array is for, and the element type that it needs there.
struct FeedTarget {
  std::string key;  // of the array, or a file
  DType dtype;
  std::optional<int64_t> one_hot_axis = {};  // rows along it become classes
  int64_t batch_axis = 0;                    // unless FeedOptions say another
};

// Where the arrays of a data set go: the first ones feed `inputs`, a target comes last.
struct ModelData {
  Dataset set;
  std::vector<std::string> inputs;
  bool has_target = false;
  std::vector<std::string> notes = {};  // what was done to the arrays unasked

  // What the model is fed when all arrays are `tensors`, a batch.
  NamedValues feeds(std::span<const Tensor> tensors) const;
  // Undefined if there is none.
  Tensor target(std::span<const Tensor> tensors) const {
    return has_target ? tensors.back() : Tensor();
  }
};

using Standardizers = std::map<std::string, Standardizer>;  // by input

// Arrays for the inputs of `graph` (those in `optional_inputs` may be missing), converted to the
// types that the graph declares. Throws BadInput naming the arrays there are, Usage for options
// that name nothing.
ModelData make_model_data(const Graph& graph, const NamedTensors& arrays,
                          const FeedOptions& options, const std::optional<FeedTarget>& target,
                          const Standardizers& standardizers = {},
                          const std::vector<std::string>& optional_inputs = {});

// The array that is the target: what the options name, or one called target, y or label that feeds
// no input. Throws BadInput naming the arrays there are.
std::string target_key(const Graph& graph, const NamedTensors& arrays, const FeedOptions& options);
// The target's values as they lie in the arrays or the file.
Tensor target_array(const NamedTensors& arrays, const std::string& key, int64_t max_memory);

// The first number of the data that is NaN or infinite, as an error text names it: array, sample
// and element; "" if all are finite.
std::string first_not_finite(const ModelData& data);

// What the options say, or what the model's inputs demand, or 32. Throws Usage if they contradict
// each other.
int64_t batch_size_for(const Graph& graph, const ModelData& data, const FeedOptions& options);

}  // namespace onnxrun
