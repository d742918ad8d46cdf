// Data sets from the command line: arrays that feed a model's inputs and a target.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common_options.h"
#include "graph/graph.h"
#include "options.h"
#include "sets/dataset.h"
#include "standardizer.h"
#include "tensor/named_tensor.h"

namespace onnxrun::tool {

struct DataOptions {
  std::vector<std::string> data, input_map, batch_axis, scale, reshape;
  std::string target;
  bool prebatched = false;
  std::optional<int64_t> batch_size;
  std::map<std::string, Standardizer> standardizers;  // by input
};

// --data, --batch-size, --reshape.
void add_data_options(Options& options, DataOptions& values);
// --target, --input, --batch-axis, --prebatched, --scale.
void add_sample_options(Options& options, DataOptions& values);

// The arrays of "[NAME=]FILE[:key]" specs. Throws BadInput for a name that stands twice and for an
// array without one.
NamedTensors load_arrays(const std::vector<std::string>& specs, int64_t max_memory);

// What an array is for, and the element type that it needs there.
struct FeedTarget {
  std::string key;  // of the array, or a file
  DType dtype;
  std::optional<int64_t> one_hot_axis = {};  // rows along it become classes
  int64_t batch_axis = 0;                    // unless --batch-axis says another
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

// Arrays for the inputs of `graph` (those in `optional_inputs` may be missing), converted to the
// types that the graph declares. Throws BadInput naming the arrays there are, Usage for options
// that name nothing.
ModelData make_model_data(const Graph& graph, const NamedTensors& arrays,
                          const DataOptions& options, const std::optional<FeedTarget>& target,
                          int64_t max_memory, const std::vector<std::string>& optional_inputs = {});

// The array that is the target: what --target names, or one called target, y or label that feeds no
// input. Throws BadInput naming the arrays there are.
std::string target_key(const Graph& graph, const NamedTensors& arrays, const DataOptions& options);
// The target's values as they lie in the arrays or the file.
Tensor target_array(const NamedTensors& arrays, const std::string& key, int64_t max_memory);

// The first number of the data that is NaN or infinite, as an error text names it: array, sample
// and element; "" if all are finite.
std::string first_not_finite(const ModelData& data);

// What --batch-size says, or what the model's inputs demand, or 32. Throws Usage if they contradict
// each other.
int64_t batch_size_for(const Graph& graph, const ModelData& data, const DataOptions& options);

}  // namespace onnxrun::tool
