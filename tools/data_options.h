// Data sets from the command line: arrays that feed a model's inputs and a target.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common_options.h"
#include "onnxrun/feed.h"
#include "onnxrun/model.h"
#include "onnxrun/session.h"
#include "options.h"

namespace onnxrun::tool {

struct DataOptions {
  std::vector<std::string> data, input_map, batch_axis, scale, reshape, standardize;
  std::string sample_weights;
  std::vector<std::string> targets;
  bool prebatched = false, as_trained = false;
  std::optional<int64_t> batch_size;
  std::string stream = "auto";
  std::vector<std::string> streams;  // of --data, what stays in its files

  // Moves to `into` what feeds inputs of the model from files that can be read piece by piece,
  // where the user or the size of the files asks for it. Returns the rest of `specs`, which
  // `option` has given.
  std::vector<std::string> take_streams(std::string_view option,
                                        const std::vector<std::string>& specs, const Model& model,
                                        const CommonOptions& common,
                                        std::vector<std::string>& into) const;
  // The same with --data and `streams`.
  std::vector<std::string> take_streams(const Model& model, const CommonOptions& common) {
    return take_streams("--data", data, model, common, streams);
  }
};

// --data, --batch-size, --reshape.
void add_data_options(Options& options, DataOptions& values);
// --target, --input, --batch-axis, --prebatched, --scale.
void add_sample_options(Options& options, DataOptions& values);

// --as-trained.
void add_as_trained(Options& options, bool& value);
// Inputs of a model, prepared as the data of its training were if that is asked for; else a warning
// where they should have been. Throws BadInput if the model says nothing about it.
void prepare_as_trained(const Model& model, bool as_trained, NamedValues& inputs);

// What these options say. Throws Usage for a value that is none and a name that stands twice.
FeedOptions feed_options(const DataOptions& options, const CommonOptions& common);

// The arrays of `specs`, which `option` has given (open_arrays()).
NamedTensors load_data(std::string_view option, const std::vector<std::string>& specs,
                       const CommonOptions& common);

}  // namespace onnxrun::tool
