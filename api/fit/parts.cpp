#include "fit/parts.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/name_list.h"

namespace onnxrun {

namespace {

bool has_validation(const FitOptions& o) {
  return !o.validation.empty() || !o.validation_streams.empty();
}

bool has_test(const FitOptions& o) { return !o.test.empty() || !o.test_streams.empty(); }

void check_parts(const FitOptions& o) {
  if (o.validation_split && has_validation(o)) {
    fail(ErrorKind::Usage, "validation data are given, and a part of the training data for them");
  }
  if (o.test_split && has_test(o)) {
    fail(ErrorKind::Usage, "test data are given, and a part of the training data for them");
  }
  double taken = o.validation_split.value_or(0) + o.test_split.value_or(0);
  if (o.validation_split && o.test_split && taken >= 1) {
    fail(ErrorKind::Usage, "{} of the data validate and {} test: nothing is left to train on",
         *o.validation_split, *o.test_split);
  }
  if (o.fold == 0 && o.folds == 0) return;
  if (o.folds < 2 || o.fold < 1 || o.fold > o.folds) {
    fail(ErrorKind::Usage, "fold {} of {}: there are folds from 1 on, of 2 at least", o.fold,
         o.folds);
  }
  if (o.validation_split || has_validation(o)) {
    fail(ErrorKind::Usage, "a fold validates: no other validation data have a place");
  }
}

class Parting {
 public:
  Parting(const Graph& graph, const NamedTensors& data, const FitOptions& options,
          const std::vector<FeedTarget>& targets)
      : graph_(graph), data_(data), options_(options), targets_(targets) {}

  DataParts run() {
    check_parts(options_);
    cut();
    for (const std::string& name : options_.feed.standardize) fit_standardizer(name);
    // Once more, with means and deviations of the part that trains.
    if (!parts_.standardizers.empty()) cut();
    return std::move(parts_);
  }

 private:
  ModelData model_data(const NamedTensors& from, const std::vector<std::string>& streams) const {
    FeedOptions feed = options_.feed;
    feed.streams = streams;
    return make_model_data(graph_, from, feed, targets_, parts_.standardizers);
  }

  ModelData other_data(const char* which, const NamedTensors& from,
                       const std::vector<std::string>& streams) const {
    try {
      return model_data(from, streams);
    } catch (const Error& e) {
      throw e.in(which);
    }
  }

  void cut() {
    parts_.training = model_data(data_, options_.feed.streams);
    parts_.test.reset();
    parts_.validation.reset();
    if (has_validation(options_)) {
      parts_.validation =
          other_data("the validation data", options_.validation, options_.validation_streams);
    }
    if (has_test(options_)) {
      parts_.test = other_data("the test data", options_.test, options_.test_streams);
    }
    auto all = static_cast<double>(parts_.training.set.samples());
    if (options_.test_split) parts_.test = split_off(*options_.test_split, all);
    if (options_.validation_split) parts_.validation = split_off(*options_.validation_split, all);
    if (options_.folds > 0) parts_.validation = fold();
  }

  ModelData split_off(double fraction, double all) {
    double of_rest = fraction * all / static_cast<double>(parts_.training.set.samples());
    ModelData part = parts_.training;
    std::tie(parts_.training.set, part.set) =
        parts_.training.set.split(of_rest, options_.trainer.seed);
    return part;
  }

  ModelData fold() {
    ModelData part = parts_.training;
    std::tie(parts_.training.set, part.set) =
        parts_.training.set.fold(options_.fold - 1, options_.folds, options_.trainer.seed);
    return part;
  }

  void fit_standardizer(const std::string& name) {
    const std::vector<std::string>& inputs = parts_.training.inputs;
    auto it = std::find(inputs.begin(), inputs.end(), name);
    if (it == inputs.end()) {
      fail(ErrorKind::Usage, "standardize: there is no input '{}'; there are {}", name,
           name_list(inputs));
    }
    if (options_.feed.prebatched) {
      fail(ErrorKind::Usage, "standardize: prebatched data have no samples");
    }
    parts_.standardizers.emplace(
        name, Standardizer::fit(parts_.training.set, static_cast<size_t>(it - inputs.begin())));
  }

  const Graph& graph_;
  const NamedTensors& data_;
  const FitOptions& options_;
  const std::vector<FeedTarget>& targets_;
  DataParts parts_;
};

}  // namespace

std::vector<ModelData*> DataParts::all() {
  std::vector<ModelData*> parts = {&training};
  if (validation) parts.push_back(&*validation);
  if (test) parts.push_back(&*test);
  return parts;
}

const ModelData* DataParts::find(Fit::Part part) const {
  if (part == Fit::Part::Training) return &training;
  const std::optional<ModelData>& other = part == Fit::Part::Test ? test : validation;
  return other ? &*other : nullptr;
}

DataParts make_parts(const Graph& graph, const NamedTensors& data, const FitOptions& options,
                     const std::vector<FeedTarget>& targets) {
  return Parting(graph, data, options, targets).run();
}

}  // namespace onnxrun
