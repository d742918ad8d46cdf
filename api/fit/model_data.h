// A data set as one model takes it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fit/standardizer.h"
#include "graph/graph.h"
#include "onnxrun/feed.h"
#include "onnxrun/preparation.h"
#include "onnxrun/session.h"
#include "sets/dataset.h"

namespace onnxrun {

// What an array is for, and the element type that it needs there.
struct FeedTarget {
  std::string name;  // what the losses call it: "target"
  std::string key;   // of the array, or a file
  DType dtype;
  std::optional<int64_t> one_hot_axis = {};  // rows along it become classes
  int64_t batch_axis = 0;                    // unless FeedOptions say another
  std::vector<std::string> classes = {};     // of labels that are names
};

// Where the arrays of a data set go: the first ones feed `inputs`, the last ones are `targets`.
struct ModelData {
  Dataset set;
  std::vector<std::string> inputs;
  std::vector<std::string> targets;     // and sample weights, by what the losses call them
  std::vector<std::string> notes = {};  // what was done to the arrays unasked
  std::vector<std::string> warnings = {};
  std::map<std::string, PreparedInput> prepared = {};  // what was asked to be done, by input

  // All inputs and targets by name when the arrays are `tensors`, a batch.
  NamedValues feeds(std::span<const Tensor> tensors) const;
};

using Standardizers = std::map<std::string, Standardizer>;  // by input

// Arrays for the inputs of `graph` (those in `optional_inputs` may be missing), converted to the
// types that the graph declares. Warns of data that are not prepared as those were that the model
// was trained on. Throws BadInput naming the arrays there are, Usage for options
// that name nothing.
ModelData make_model_data(const Graph& graph, const NamedTensors& arrays,
                          const FeedOptions& options, const std::vector<FeedTarget>& targets,
                          const Standardizers& standardizers = {},
                          const std::vector<std::string>& optional_inputs = {});

// The array that is the target: what the options name, or one called target, y or label that feeds
// no input. Throws BadInput naming the arrays there are.
std::string target_key(const Graph& graph, const NamedTensors& arrays, const FeedOptions& options);
// The target's values as they lie in the arrays or the file.
Tensor target_array(const NamedTensors& arrays, const std::string& key, int64_t max_memory);

// The same as the losses take them: rows that are one-hot as classes, of the type they need.
Tensor target_values(const NamedTensors& arrays, const FeedTarget& target, int64_t max_memory);

// The first number of the data that is NaN or infinite, as an error text names it: array, sample
// and element; "" if all are finite.
std::string first_not_finite(const ModelData& data);

// What the options say, or what the model's inputs demand, or 32. Throws Usage if they contradict
// each other.
int64_t batch_size_for(const Graph& graph, const ModelData& data, const FeedOptions& options);

}  // namespace onnxrun
