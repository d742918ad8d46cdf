#include "data_options.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "array_files.h"
#include "base/error.h"
#include "formats/source.h"
#include "messages.h"
#include "onnxrun/preparation.h"
#include "sets/sample_reader.h"
#include "tensor/tensor.h"

namespace onnxrun::tool {

void add_data_options(Options& options, DataOptions& o) {
  options
      .add_repeated(
          "--data", o.data,
          "arrays whose first axis counts the samples: FILE with named arrays, or NAME=FILE")
      .type_name("[NAME=]FILE[:KEY]");
  options
      .add("--stream", o.stream,
           "whether .npy and idx files that feed inputs stay on the disk, and are read batch by "
           "batch "
           "(default: auto, those of 256 MiB and more)")
      .type_name("auto|always|never")
      .check(one_of({"auto", "always", "never"}));
  options
      .add("--batch-size", o.batch_size,
           "samples in a batch (default: what the model's inputs demand, else 32)")
      .type_name("N")
      .check(at_least(1));
  options
      .add_repeated("--reshape", o.reshape,
                    "shape of a sample of an input's data: x=1x28x28 (default: what the input asks "
                    "for, where axes of length 1 or a flat shape make the difference)")
      .type_name("NAME=SHAPE");
}

void add_sample_options(Options& options, DataOptions& o) {
  options
      .add_repeated("--target", o.targets,
                    "array of the data, or file, that outputs should match (default: target, y or "
                    "label; of several losses the array of the output's name)")
      .type_name("[OUTPUT=]KEY|FILE");
  options
      .add("--sample-weights", o.sample_weights,
           "array with a factor for each sample's part of the losses; means stay means over all "
           "samples")
      .type_name("KEY");
  options.add_repeated("--input", o.input_map, "feeds a model input from an array: x=images")
      .type_name("NAME=KEY");
  options
      .add_repeated("--batch-axis", o.batch_axis,
                    "axis that counts the samples, of an input or the target: x=1 (default: 0)")
      .type_name("NAME=AXIS");
  options.add_switch(
      "--prebatched", o.prebatched,
      "the first axis counts batches; each slice is one batch as the model takes it");
  options.add_repeated("--scale", o.scale, "factor for an input: x=1/255").type_name("NAME=FACTOR");
  add_as_trained(options, o.as_trained);
}

std::vector<std::string> DataOptions::take_streams(std::string_view option,
                                                   const std::vector<std::string>& specs,
                                                   const Model& model, const CommonOptions& common,
                                                   std::vector<std::string>& into) const {
  const int64_t large = std::min<int64_t>(256 << 20, common.max_memory / 4);
  std::set<std::string> fed;
  for (const ValueInfo& input : model.inputs()) fed.insert(input.name);
  for (const std::string& text : input_map) {
    auto [input, array] = parse_assignment("--input", text);
    fed.erase(input);
    fed.insert(array);
  }
  std::vector<std::string> rest;
  for (const std::string& spec : specs) {
    const auto array = split_array_name(spec);
    const auto& name = array.first;
    const auto& file = array.second;
    std::error_code none;
    const std::string path = split_path_and_key(file).first;
    bool is_file = std::filesystem::is_regular_file(path, none);
    bool wanted = stream == "always" ||
                  (stream == "auto" && is_file &&
                   std::filesystem::file_size(path, none) >= static_cast<uintmax_t>(large));
    bool streams_it = fed.count(name) > 0 && is_file && wanted &&
                      in_context(fmt::format("{} {}", option, spec),
                                 [&] { return open_samples(file) != nullptr; });
    (streams_it ? into : rest).push_back(spec);
  }
  return rest;
}

void add_as_trained(Options& options, bool& value) {
  options.add_switch("--as-trained", value,
                     "prepare the inputs as the model's metadata say of its training: --scale and "
                     "--standardize with the same numbers");
}

void prepare_as_trained(const Model& model, bool as_trained, NamedValues& inputs) {
  Preparation preparation;
  try {
    preparation = Preparation::of(model);
  } catch (const Error& e) {
    if (as_trained) throw;
    return warn("{}", e.what());
  }
  if (as_trained && preparation.inputs.empty()) {
    fail(ErrorKind::BadInput, "the model does not say how the data of its training were prepared");
  }
  for (auto& [name, value] : inputs) {
    auto it = preparation.inputs.find(name);
    if (it == preparation.inputs.end() || !value.is_tensor()) continue;
    if (!as_trained) {
      warn("input '{}' is taken as it is, but was prepared for the training; --as-trained does so",
           name);
      continue;
    }
    if (!is_float(value.tensor.dtype())) {
      fail(ErrorKind::BadInput, "input '{}' is {}, of which nothing can be computed", name,
           value.tensor.type_text());
    }
    value = RuntimeValue(convert(it->second.apply(value.tensor), value.tensor.dtype()));
  }
}

namespace {

std::map<std::string, std::string> assignments(std::string_view option,
                                               const std::vector<std::string>& texts) {
  std::map<std::string, std::string> result;
  for (const std::string& text : texts) {
    auto [name, value] = parse_assignment(option, text);
    if (!result.emplace(name, value).second) {
      fail(ErrorKind::Usage, "{}: '{}' is given twice", option, name);
    }
  }
  return result;
}

Dims sample_dims(const std::string& text) {
  Dims dims;
  for (const std::string& piece : split_list(text, 'x')) {
    dims.push_back(parse_integer("--reshape", piece));
    if (dims.back() < 1) fail(ErrorKind::Usage, "--reshape: '{}' has a length below 1", text);
  }
  return dims;
}

}  // namespace

FeedOptions feed_options(const DataOptions& o, const CommonOptions& common) {
  FeedOptions feed;
  feed.inputs = assignments("--input", o.input_map);
  for (const auto& [name, axis] : assignments("--batch-axis", o.batch_axis)) {
    feed.batch_axes[name] = parse_integer("--batch-axis", axis);
  }
  for (const auto& [name, factor] : assignments("--scale", o.scale)) {
    feed.scale[name] = parse_number("--scale", factor);
  }
  for (const auto& [name, shape] : assignments("--reshape", o.reshape)) {
    feed.reshape[name] = sample_dims(shape);
  }
  feed.targets = o.targets;
  feed.sample_weights = o.sample_weights;
  feed.standardize = o.standardize;
  feed.prebatched = o.prebatched;
  feed.as_trained = o.as_trained;
  feed.batch_size = o.batch_size;
  feed.streams = o.streams;
  feed.max_memory = common.max_memory;
  return feed;
}

NamedTensors load_data(std::string_view option, const std::vector<std::string>& specs,
                       const CommonOptions& common) {
  NamedTensors all;
  for (const std::string& spec : specs) {
    std::string shown = spec.size() > 60 ? spec.substr(0, 57) + "..." : spec;
    in_context(fmt::format("{} {}", option, shown),
               [&] { read_named_arrays(spec, common.max_memory, all); });
  }
  return all;
}

}  // namespace onnxrun::tool
