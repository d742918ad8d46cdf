#include "fit/model_data.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "array_files.h"
#include "base/error.h"
#include "base/file_names.h"
#include "base/name_list.h"
#include "fit/class_names.h"
#include "fit/columns.h"
#include "fit/sample_shape.h"
#include "fit/stored_preparation.h"
#include "fit/streams.h"
#include "fit/target_reading.h"
#include "formats/inline.h"

namespace onnxrun {

NamedValues ModelData::feeds(std::span<const Tensor> tensors) const {
  NamedValues values;
  for (size_t k = 0; k < inputs.size(); ++k) values.emplace_back(inputs[k], tensors[k]);
  for (size_t k = 0; k < targets.size(); ++k) {
    values.emplace_back(targets[k], tensors[inputs.size() + k]);
  }
  return values;
}

namespace {

// Of arrays that are targets unless something else is said.
constexpr const char* target_names[] = {"target", "y", "label"};

std::vector<std::string> names_of_arrays(const NamedTensors& arrays) {
  std::vector<std::string> names;
  for (const NamedTensor& a : arrays) names.push_back(a.name);
  return names;
}

// Class indices may come as floating-point numbers, but have to be whole.
Tensor whole_numbers(const std::string& name, const Tensor& t) {
  std::vector<double> values = to_doubles(t);
  for (double v : values) {
    if (v != std::floor(v) || std::abs(v) > 9e15) {
      fail(ErrorKind::BadInput, "target '{}' holds {}, but this loss takes class indices", name, v);
    }
  }
  return convert(t, DType::Int64);
}

Tensor fitted(const std::string& name, const Tensor& t, DType dtype, bool is_target) {
  if (t.dtype() == dtype || dtype == DType::Undefined) return t;
  if (t.dtype() == DType::String && t.size() > 0 && dtype != DType::String) {
    fail(ErrorKind::BadInput, "'{}' holds text ('{}'), but {} is needed", name,
         t.data<std::string>()[0], to_string(dtype));
  }
  if (t.dtype() == DType::String || dtype == DType::String || is_complex(t.dtype())) {
    fail(ErrorKind::BadInput, "'{}' is {}, but {} is needed", name, t.type_text(),
         to_string(dtype));
  }
  if (is_target && is_integer(dtype) && is_float(t.dtype())) return whole_numbers(name, t);
  return convert(t, dtype);
}

// Builds the arrays of one data set.
class Assembly {
 public:
  Assembly(const Graph& graph, const NamedTensors& arrays, const FeedOptions& options,
           const std::vector<FeedTarget>& targets, const Standardizers& standardizers)
      : graph_(graph),
        arrays_(arrays),
        options_(options),
        standardizers_(standardizers),
        mapped_(options.inputs),
        axes_(options.batch_axes),
        scales_(options.scale),
        shapes_(options.reshape),
        streams_(open_streams(options.streams)) {
    read_stored();
    for (const FeedTarget& target : targets) taken_.insert(target.key);
    if (targets.empty()) taken_.insert(std::begin(target_names), std::end(target_names));
  }

  void add_input(ValueId v, bool optional) {
    const std::string& name = graph_.name_of(v);
    auto it = mapped_.find(name);
    std::string key = it == mapped_.end() ? name : it->second;
    if (it != mapped_.end()) mapped_.erase(it);
    const Type& type = graph_.value(v).type;
    if (add_stream(name, key, type)) return;
    const NamedTensor* array = find_array(arrays_, key);
    std::optional<NamedTensor> columns;
    if (!array) columns = columns_for(name, key, type);
    if (columns) array = &*columns;
    if (!array && optional) return;
    if (!array) {
      fail(ErrorKind::BadInput,
           "the data have no array '{}' for input '{}' ({}); they have {} (--input {}=KEY chooses "
           "one)",
           key, name, type.to_string(), name_list(names_of_arrays(arrays_)), name);
    }
    int64_t axis = axis_of(name, type);
    Tensor values = array->tensor.view(in_shape(name, array->tensor.dims(), type, axis));
    std::optional<PreparedInput> preparation = preparation_of(name, axis);
    if (preparation) values = preparation->apply(values);
    finish_input({name, fitted(name, values, type.dtype, false), axis, false}, type);
  }

  void add_target(const FeedTarget& target) {
    Tensor values = target_values(arrays_, target, options_.max_memory);
    auto taken = [&](const std::string& name) {
      return std::any_of(result_.begin(), result_.end(),
                         [&](const DataArray& a) { return a.name == name; });
    };
    std::string shown = target.key;
    if (taken(shown)) shown += " (target)";
    if (taken(shown)) shown = fmt::format("{} ({})", target.key, target.name);
    DataArray data{shown, std::move(values), target.batch_axis, drops_};
    for (const std::string& name : {std::string("target"), target.key}) {
      auto it = options_.batch_axes.find(name);
      if (it == options_.batch_axes.end()) continue;
      data.batch_axis = it->second;
      axes_.erase(name);
    }
    result_.push_back(std::move(data));
    targets_.push_back(target.name);
  }

  ModelData finish() {
    check_used("input", mapped_);
    if (!streams_.empty()) {
      fail(ErrorKind::BadInput,
           "array '{}' feeds no input, so it does not stay in its file; inputs "
           "are {}",
           streams_[0].name, name_list(inputs_));
    }
    check_used("batch axis", axes_);
    check_used("scale", scales_);
    check_used("reshape", shapes_);
    if (!unprepared_.empty()) {
      warnings_.push_back(fmt::format(
          "the model was trained on prepared data ({}), and these are taken as they are; "
          "--as-trained prepares them",
          unprepared_));
    }
    return {Dataset(std::move(result_), options_.prebatched),
            std::move(inputs_),
            std::move(targets_),
            std::move(notes_),
            std::move(warnings_),
            std::move(prepared_)};
  }

 private:
  std::optional<NamedTensor> columns_for(const std::string& name, const std::string& key,
                                         const Type& type) {
    if (key != name) return listed_columns(arrays_, key);
    bool is_only = graph_.inputs.size() == 1 && !options_.prebatched;
    if (!is_only) return std::nullopt;
    auto columns = all_columns(arrays_, taken_, name, type);
    if (columns) {
      notes_.push_back(fmt::format("input '{}' takes the columns {}", name, columns->name));
    }
    return columns;
  }

  void read_stored() {
    try {
      stored_ = stored_preparation(graph_);
    } catch (const Error& e) {
      if (options_.as_trained) throw;
      warnings_.emplace_back(e.what());
    }
    if (options_.as_trained && stored_.inputs.empty()) {
      fail(ErrorKind::BadInput,
           "the model does not say how the data of its training were prepared");
    }
  }

  // What is to happen to the values of an input; nothing if they stay what they are.
  std::optional<PreparedInput> preparation_of(const std::string& name, int64_t axis) {
    PreparedInput done{.batch_axis = axis};
    auto stored = stored_.inputs.find(name);
    auto scale = scales_.find(name);
    auto standardizer = standardizers_.find(name);
    bool any = scale != scales_.end() || standardizer != standardizers_.end();
    if (options_.as_trained && stored != stored_.inputs.end()) {
      if (any) {
        fail(ErrorKind::Usage, "input '{}' is prepared as in the training of the model already",
             name);
      }
      notes_.push_back(fmt::format("input '{}' is prepared as in the training: {}", name,
                                   summary_of(stored->second)));
      done = stored->second;
      done.batch_axis = axis;
      any = true;
    }
    if (scale != scales_.end()) {
      if (scale->second == 0 || !std::isfinite(scale->second)) {
        fail(ErrorKind::Usage, "scale: the factor of '{}' is {}", name, scale->second);
      }
      done.scale = scale->second;
      scales_.erase(scale);
    }
    if (standardizer != standardizers_.end()) {
      done.mean = standardizer->second.mean();
      done.deviation = standardizer->second.deviation();
    }
    bool asked = options_.as_trained ||
                 std::count(options_.standardize.begin(), options_.standardize.end(), name) > 0;
    if (stored != stored_.inputs.end() && !asked) note_unprepared(name, stored->second, done);
    if (!any) return std::nullopt;
    const DType dtype = graph_.value(graph_.find(name)).type.dtype;
    if (dtype != DType::Undefined && !is_float(dtype)) {
      fail(ErrorKind::Usage,
           "input '{}' takes whole numbers ({}), which are none any more when they are scaled or "
           "standardized",
           name, to_string(dtype));
    }
    prepared_.emplace(name, done);
    return done;
  }

  void finish_input(DataArray data, const Type& type) {
    data.drop_single = type.rank() >= 0 && type.rank() == data.rank() - 1;
    drops_ = drops_ || data.drop_single;
    inputs_.push_back(data.name);
    result_.push_back(std::move(data));
  }

  // False if no stream has this array.
  bool add_stream(const std::string& name, const std::string& key, const Type& type) {
    auto stream = std::find_if(streams_.begin(), streams_.end(),
                               [&](const NamedSamples& s) { return s.name == key; });
    if (stream == streams_.end()) return false;
    std::shared_ptr<const SampleReader> from = stream->samples;
    streams_.erase(stream);
    int64_t axis = axis_of(name, type);
    Dims dims = in_shape(name, from->dims(), type, axis);
    std::optional<PreparedInput> preparation = preparation_of(name, axis);
    DType dtype = type.dtype == DType::Undefined ? from->dtype() : type.dtype;
    if (dtype == DType::String || is_complex(from->dtype()) != is_complex(dtype)) {
      fail(ErrorKind::BadInput, "'{}' is {}, but {} is needed", name, to_string(from->dtype()),
           to_string(dtype));
    }
    finish_input({name, {}, axis, false, prepared_samples(from, dims, dtype, preparation)}, type);
    return true;
  }

  void note_unprepared(const std::string& name, const PreparedInput& stored,
                       const PreparedInput& done) {
    if (!stored.mean.defined() && stored.scale == done.scale) return;
    unprepared_ +=
        fmt::format("{}'{}' {}", unprepared_.empty() ? "" : "; ", name, summary_of(stored));
  }

  int64_t axis_of(const std::string& name, const Type& type) {
    auto it = axes_.find(name);
    if (it == axes_.end()) {
      int64_t axis = options_.prebatched ? 0 : named_batch_axis(type).value_or(0);
      if (axis > 0) {
        notes_.push_back(fmt::format("input '{}' ({}): axis {} of the data counts the samples",
                                     name, type.to_string(), axis));
      }
      return axis;
    }
    int64_t axis = it->second;
    axes_.erase(it);
    return axis;
  }

  // The lengths of an array with samples of the shape that --reshape or the input asks for.
  Dims in_shape(const std::string& name, const Dims& given, const Type& type, int64_t axis) {
    auto sample = [](const Dims& dims) { return to_string(Dims(dims.begin() + 1, dims.end())); };
    auto it = shapes_.find(name);
    if (it != shapes_.end()) {
      Dims dims = it->second;
      shapes_.erase(it);
      if (axis != 0 || given.empty()) {
        fail(ErrorKind::Usage, "reshape: axis 0 of the data of '{}' has to count the samples",
             name);
      }
      dims.insert(dims.begin(), given[0]);
      if (checked_count(dims) != element_count(given)) {
        fail(ErrorKind::BadInput, "reshape: samples of '{}' are {}, which do not become {}", name,
             sample(given), sample(dims));
      }
      return dims;
    }
    if (axis != 0 || options_.prebatched) return given;
    std::optional<Dims> dims = reshaped_samples(type, given);
    if (!dims) return given;
    notes_.push_back(fmt::format("input '{}': samples of {} are taken as {}", name, sample(given),
                                 sample(*dims)));
    return *dims;
  }

  // -1 if there are more than can be counted.
  static int64_t checked_count(const Dims& dims) {
    int64_t count = 1;
    for (int64_t d : dims) {
      if (__builtin_mul_overflow(count, d, &count)) return -1;
    }
    return count;
  }

  template <typename T>
  void check_used(std::string_view option, const std::map<std::string, T>& left) const {
    if (left.empty()) return;
    fail(ErrorKind::Usage, "{}: '{}' is no input that the data feed; they feed {}", option,
         left.begin()->first, name_list(inputs_));
  }

  const Graph& graph_;
  const NamedTensors& arrays_;
  const FeedOptions& options_;
  const Standardizers& standardizers_;
  std::map<std::string, std::string> mapped_;
  std::map<std::string, int64_t> axes_;
  std::map<std::string, double> scales_;
  std::map<std::string, Dims> shapes_;
  std::vector<NamedSamples> streams_;  // not used yet
  std::vector<DataArray> result_;
  std::vector<std::string> inputs_, targets_, notes_, warnings_;
  Preparation stored_;
  std::map<std::string, PreparedInput> prepared_;
  std::set<std::string> taken_;  // arrays that are no columns of an input
  std::string unprepared_;
  bool drops_ = false;
};

}  // namespace

std::string target_key(const Graph& graph, const NamedTensors& arrays, const FeedOptions& options) {
  auto feeds_input = [&](const std::string& key) {
    for (const auto& [input, array] : options.inputs) {
      if (array == key) return true;
    }
    return std::any_of(graph.inputs.begin(), graph.inputs.end(),
                       [&](ValueId v) { return graph.name_of(v) == key; });
  };
  for (const char* key : target_names) {
    if (find_array(arrays, key) && !feeds_input(key)) return key;
  }
  fail(ErrorKind::BadInput,
       "the data have no array target, y or label; they have {} (--target KEY chooses one)",
       name_list(names_of_arrays(arrays)));
}

Tensor target_array(const NamedTensors& arrays, const std::string& key, int64_t max_memory) {
  if (const NamedTensor* a = find_array(arrays, key)) return a->tensor;
  bool names_file = key.find('.') != std::string::npos || key.find('/') != std::string::npos ||
                    file_exists(key) || is_inline(key);
  if (!names_file) {
    fail(ErrorKind::BadInput, "the data have no array '{}'; they have {}", key,
         name_list(names_of_arrays(arrays)));
  }
  return read_array(key, read_options(max_memory)).tensor;
}

Tensor target_values(const NamedTensors& arrays, const FeedTarget& target, int64_t max_memory) {
  Tensor values = target_array(arrays, target.key, max_memory);
  if (!target.classes.empty() && values.dtype() == DType::String) {
    values = class_indices(target.key, values, target.classes);
  }
  if (target.one_hot_axis) values = classes_of_rows(target.key, values, *target.one_hot_axis);
  return fitted(target.key, values, target.dtype, true);
}

ModelData make_model_data(const Graph& graph, const NamedTensors& arrays,
                          const FeedOptions& options, const std::vector<FeedTarget>& targets,
                          const Standardizers& standardizers,
                          const std::vector<std::string>& optional_inputs) {
  Assembly assembly(graph, arrays, options, targets, standardizers);
  for (ValueId v : graph.inputs) {
    bool optional = std::find(optional_inputs.begin(), optional_inputs.end(), graph.name_of(v)) !=
                    optional_inputs.end();
    assembly.add_input(v, optional);
  }
  for (const FeedTarget& target : targets) assembly.add_target(target);
  return assembly.finish();
}

namespace {

// "sample 3 (from 0), element [1,2]" of an array or a part of it.
std::string place_of(const DataArray& array, bool prebatched, Dims dims, int64_t first,
                     int64_t element) {
  for (size_t axis = dims.size(); axis-- > 0;) {
    int64_t length = dims[axis];
    dims[axis] = element % length;
    element /= length;
  }
  auto axis = dims.begin() + array.batch_axis;
  int64_t sample = first + *axis;
  dims.erase(axis);
  return fmt::format("{} {} (from 0), element {}", prebatched ? "batch" : "sample", sample,
                     to_string(dims));
}

// Of a part that begins with sample `first`.
std::string not_finite_in(const DataArray& array, bool prebatched, const Tensor& part,
                          int64_t first) {
  std::vector<double> values = to_doubles(part);
  auto bad = std::find_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v); });
  if (bad == values.end()) return "";
  return fmt::format("'{}' has {} in {}", array.name, *bad,
                     place_of(array, prebatched, part.dims(), first, bad - values.begin()));
}

}  // namespace

std::string first_not_finite(const ModelData& data) {
  for (const DataArray& array : data.set.arrays()) {
    if (!is_float(array.dtype())) continue;
    std::string found;
    if (!array.reader) {
      found = not_finite_in(array, data.set.prebatched(), array.values, 0);
    } else {
      for_each_part(*array.reader, [&](const Tensor& part, int64_t first) {
        if (found.empty()) found = not_finite_in(array, data.set.prebatched(), part, first);
      });
    }
    if (!found.empty()) return found;
  }
  return "";
}

int64_t batch_size_for(const Graph& graph, const ModelData& data, const FeedOptions& options) {
  if (data.set.prebatched()) return 1;
  std::optional<int64_t> size = options.batch_size;
  for (size_t k = 0; k < data.inputs.size(); ++k) {
    const DataArray& array = data.set.arrays()[k];
    const Type& type = graph.value(graph.find(data.inputs[k])).type;
    int64_t demanded = -1;
    if (array.drop_single) {
      demanded = 1;
    } else if (type.shape && type.rank() == array.rank()) {
      const Dim& d = (*type.shape)[static_cast<size_t>(array.batch_axis)];
      if (d.is_known()) demanded = d.value();
    }
    if (demanded < 1) continue;
    if (size && *size != demanded) {
      fail(ErrorKind::Usage,
           "a batch of {} does not fit input '{}' ({}), whose data are {}; "
           "a batch of {} does",
           *size, data.inputs[k], type.to_string(), array.type_text(), demanded);
    }
    size = demanded;
  }
  return size.value_or(32);
}

}  // namespace onnxrun
