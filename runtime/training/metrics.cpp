#include "training/metrics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/unit_axes.h"
#include "training/find_named.h"
#include "training/loss.h"

namespace onnxrun {

namespace {

constexpr double no_value_at_all = std::numeric_limits<double>::quiet_NaN();

bool is_elementwise(const std::string& name) {
  return name == "mae" || name == "mse" || name == "rmse" || name == "r2";
}

// The K of "topK", or 0.
int64_t top_count(const std::string& name) {
  if (!name.starts_with("top")) return 0;
  int64_t k = 0;
  const char *begin = name.data() + 3, *end = name.data() + name.size();
  auto [last, error] = std::from_chars(begin, end, k);
  return error == std::errc() && last == end && k > 0 ? k : 0;
}

void check_name(const std::string& name) {
  if (top_count(name) == 0) find_named(metric_list(), name, "metric");
}

Dims without(Dims dims, int64_t axis) {
  dims.erase(dims.begin() + axis);
  return dims;
}

// Equal lengths, whatever axes of length 1 are more or less.
bool agree(const Dims& a, const Dims& b) {
  return a == b || without_unit_axes(a) == without_unit_axes(b);
}

// Elements of a tensor of shape `from` repeated to shape `to`, as numpy broadcasts.
std::vector<double> repeated(const std::vector<double>& values, const Dims& from, const Dims& to) {
  std::vector<double> result(static_cast<size_t>(element_count(std::span(to))));
  size_t offset = to.size() - from.size();
  for (size_t i = 0; i < result.size(); ++i) {
    size_t rest = i, at = 0, stride = 1;
    for (size_t axis = to.size(); axis-- > 0;) {
      size_t index = rest % static_cast<size_t>(to[axis]);
      rest /= static_cast<size_t>(to[axis]);
      if (axis < offset) continue;
      auto length = static_cast<size_t>(from[axis - offset]);
      if (length > 1) at += index * stride;
      stride *= length;
    }
    result[i] = values[at];
  }
  return result;
}

std::vector<int64_t> as_classes(const std::vector<double>& truth) {
  std::vector<int64_t> classes;
  for (double v : truth) {
    bool whole = v == std::floor(v) && std::abs(v) < 9e15;
    if (!whole) fail(ErrorKind::BadInput, "the target holds {}, which is no class", v);
    classes.push_back(static_cast<int64_t>(v));
  }
  return classes;
}

Type type_of_shape(const Tensor& t) { return Type::tensor(DType::Float64, to_shape(t.dims())); }

}  // namespace

const std::vector<MetricInfo>& metric_list() {
  static const std::vector<MetricInfo> list = {
      {"accuracy", "part of the samples whose class is right"},
      {"top5", "part whose class is among the 5 that score highest; any topK"},
      {"precision", "hits / predicted, averaged over classes (class 1 of two)"},
      {"recall", "hits / there, averaged over classes (class 1 of two)"},
      {"f1", "2 hits / (predicted + there), averaged over classes (class 1 of two)"},
      {"auc", "area under the ROC curve, two classes"},
      {"mae", "mean |y - t|"},
      {"mse", "mean (y - t)^2"},
      {"rmse", "square root of mse"},
      {"r2", "1 - sum (y - t)^2 / sum (t - mean t)^2"},
  };
  return list;
}

Metrics::Metrics(std::vector<std::string> names, const MetricOptions& options)
    : names_(std::move(names)), options_(options) {
  for (const std::string& name : names_) {
    check_name(name);
    (is_elementwise(name) ? elementwise_ : classes_) = true;
  }
}

void Metrics::clear() {
  samples_.clear();
  class_count_ = 0;
  elements_ = absolute_ = squared_ = target_sum_ = target_squares_ = 0;
}

void Metrics::add(const Tensor& output, const Tensor& target) {
  if (elementwise_) add_elements(output, target);
  if (classes_ || names_.empty()) add_classes(output, target);
}

void Metrics::add_elements(const Tensor& output, const Tensor& target) {
  std::vector<double> y = to_doubles(output), t = to_doubles(target);
  double weight = 1;
  if (!options_.allow_broadcast && !agree(output.dims(), target.dims())) {
    fail(ErrorKind::BadInput, "output {} and target {} differ by more than axes of length 1",
         output.type_text(), target.type_text());
  }
  if (options_.allow_broadcast && output.dims() != target.dims()) {
    Dims all = broadcast(std::span(output.dims()), std::span(target.dims()));
    size_t larger = std::max(y.size(), t.size());
    y = repeated(y, output.dims(), all);
    t = repeated(t, target.dims(), all);
    // A batch counts by its samples, as in the loss, not by the pairs they make.
    weight = static_cast<double>(larger) / static_cast<double>(y.size());
  }
  for (size_t i = 0; i < y.size(); ++i) {
    absolute_ += weight * std::abs(y[i] - t[i]);
    squared_ += weight * (y[i] - t[i]) * (y[i] - t[i]);
    target_sum_ += weight * t[i];
    target_squares_ += weight * t[i] * t[i];
  }
  elements_ += weight * static_cast<double>(y.size());
}

void Metrics::add_classes(const Tensor& output, const Tensor& target) {
  if (output.size() == 0) return;
  const Dims &y = output.dims(), &t = target.dims();
  std::vector<double> scores = to_doubles(output), truth = to_doubles(target);
  if (agree(y, t)) {
    bool single = output.rank() < 2 || output.dim(1) == 1 || y.back() == 1;
    int64_t axis = std::min<int64_t>(1, output.rank() - 1);
    if (options_.class_axis && output.rank() > 0) {
      axis = normalize_axis(*options_.class_axis, output.rank());
      single = output.dim(axis) == 1;
    }
    if (single || options_.independent) return add_binary(scores, truth);
    return add_one_hot(scores, y, axis, truth);
  }
  Type target_shape = type_of_shape(target);
  bool classes = output.rank() > 0;
  int64_t axis = 0;
  if (classes) {
    axis = class_axis_of({"of classes", {}, options_.class_axis}, type_of_shape(output),
                         &target_shape);
    classes = agree(without(y, axis), t);
  }
  if (!classes) {
    fail(ErrorKind::BadInput, "output {} and target {} are no scores and classes",
         output.type_text(), target.type_text());
  }
  add_indexed(scores, y, axis, as_classes(truth));
}

// The true class of a one-hot row is where it is highest.
void Metrics::add_one_hot(const std::vector<double>& scores, const Dims& dims, int64_t axis,
                          const std::vector<double>& truth) {
  Metrics rows({}, options_);
  size_t count = truth.size() / static_cast<size_t>(dims[static_cast<size_t>(axis)]);
  rows.add_indexed(truth, dims, axis, std::vector<int64_t>(count, 0));
  std::vector<int64_t> classes;
  for (const Sample& s : rows.samples_) classes.push_back(s.predicted);
  add_indexed(scores, dims, axis, classes);
}

void Metrics::add_indexed(const std::vector<double>& scores, const Dims& dims, int64_t axis,
                          const std::vector<int64_t>& truth) {
  int64_t classes = dims[static_cast<size_t>(axis)], inner = 1;
  for (size_t i = static_cast<size_t>(axis) + 1; i < dims.size(); ++i) inner *= dims[i];
  class_count_ = std::max(class_count_, classes);
  for (size_t s = 0; s < truth.size(); ++s) {
    if (options_.ignore_index == truth[s]) continue;
    auto at = static_cast<int64_t>(s);
    const double* row = scores.data() + (at / inner) * classes * inner + at % inner;
    if (truth[s] < 0 || truth[s] >= classes) {
      fail(ErrorKind::BadInput, "class {} of the target is not among the {} classes of the output",
           truth[s], classes);
    }
    int64_t best = 0, rank = 0;
    for (int64_t c = 0; c < classes; ++c) {
      if (row[c * inner] > row[best * inner]) best = c;
      rank += row[c * inner] > row[truth[s] * inner];
    }
    samples_.push_back({truth[s], best, rank, classes == 2 ? row[inner] - row[0] : 0});
  }
}

void Metrics::add_binary(const std::vector<double>& scores, const std::vector<double>& truth) {
  class_count_ = std::max<int64_t>(class_count_, 2);
  for (size_t s = 0; s < scores.size(); ++s) {
    int64_t right = truth[s] > 0.5 ? 1 : 0;
    int64_t predicted = scores[s] > options_.threshold ? 1 : 0;
    samples_.push_back({right, predicted, right == predicted ? 0 : 1, scores[s]});
  }
}

std::vector<Metrics::Result> Metrics::results() const {
  std::vector<Result> list;
  for (const std::string& name : names_) list.push_back({name, value_of(name)});
  return list;
}

double Metrics::value_of(const std::string& name) const {
  if (name == "mae") return absolute_ / elements_;
  if (name == "mse") return squared_ / elements_;
  if (name == "rmse") return std::sqrt(squared_ / elements_);
  if (name == "r2") return 1 - squared_ / (target_squares_ - target_sum_ * target_sum_ / elements_);
  if (name == "auc") return auc();
  if (name == "precision") {
    return averaged(
        [](double hits, double predicted, double) { return predicted > 0 ? hits / predicted : 0; });
  }
  if (name == "recall") {
    return averaged([](double hits, double, double there) { return there > 0 ? hits / there : 0; });
  }
  if (name == "f1") {
    return averaged([](double hits, double predicted, double there) {
      return predicted + there > 0 ? 2 * hits / (predicted + there) : 0;
    });
  }
  if (name == "accuracy") {
    auto hits = std::count_if(samples_.begin(), samples_.end(),
                              [](const Sample& s) { return s.truth == s.predicted; });
    return static_cast<double>(hits) / static_cast<double>(samples_.size());
  }
  return top(top_count(name));
}

double Metrics::top(int64_t k) const {
  auto hits =
      std::count_if(samples_.begin(), samples_.end(), [&](const Sample& s) { return s.rank < k; });
  return static_cast<double>(hits) / static_cast<double>(samples_.size());
}

// Over the classes that occur, as truth or prediction; of two classes, class 1 alone.
double Metrics::averaged(double (*of)(double hits, double predicted, double there)) const {
  struct Counts {
    double hits = 0, predicted = 0, there = 0;
  };
  std::vector<Counts> classes(static_cast<size_t>(class_count_));
  for (const Sample& s : samples_) {
    classes[static_cast<size_t>(s.truth)].there += 1;
    classes[static_cast<size_t>(s.predicted)].predicted += 1;
    if (s.truth == s.predicted) classes[static_cast<size_t>(s.truth)].hits += 1;
  }
  double sum = 0, counted = 0;
  for (size_t c = classes.size() == 2 ? 1 : 0; c < classes.size(); ++c) {
    if (classes[c].there + classes[c].predicted == 0) continue;
    sum += of(classes[c].hits, classes[c].predicted, classes[c].there);
    counted += 1;
  }
  return counted > 0 ? sum / counted : no_value_at_all;
}

// The rank-sum statistic (Mann and Whitney 1947); equal scores share their ranks.
double Metrics::auc() const {
  if (class_count_ != 2) return no_value_at_all;
  std::vector<Sample> sorted = samples_;
  std::sort(sorted.begin(), sorted.end(),
            [](const Sample& a, const Sample& b) { return a.score < b.score; });
  double ranks = 0, positive = 0;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end].score == sorted[i].score) ++end;
    double rank = (static_cast<double>(i + end) + 1) / 2;
    for (; i < end; ++i) {
      if (sorted[i].truth == 0) continue;
      ranks += rank;
      positive += 1;
    }
  }
  double negative = static_cast<double>(sorted.size()) - positive;
  if (positive == 0 || negative == 0) return no_value_at_all;
  return (ranks - positive * (positive + 1) / 2) / (positive * negative);
}

Tensor Metrics::confusion() const {
  Tensor table(DType::Int64, {class_count_, class_count_});
  int64_t* counts = table.data<int64_t>();
  std::fill_n(counts, table.size(), 0);
  for (const Sample& s : samples_) ++counts[s.truth * class_count_ + s.predicted];
  return table;
}

NamedTensors Metrics::state() const {
  auto n = static_cast<int64_t>(samples_.size());
  Tensor classes(DType::Int64, {n, 3}), scores(DType::Float64, {n});
  for (size_t i = 0; i < samples_.size(); ++i) {
    const Sample& s = samples_[i];
    std::copy_n(std::array{s.truth, s.predicted, s.rank}.data(), 3,
                classes.data<int64_t>() + 3 * i);
    scores.data<double>()[i] = s.score;
  }
  return {{"classes", classes},
          {"scores", scores},
          {"class_count", Tensor::scalar(class_count_)},
          {"sums", Tensor::of<double>(
                       {5}, {elements_, absolute_, squared_, target_sum_, target_squares_})}};
}

void Metrics::set_state(const NamedTensors& state) {
  const NamedTensors form = Metrics({}, {}).state();
  bool fits = state.size() == form.size();
  for (size_t k = 0; fits && k < form.size(); ++k) {
    fits = state[k].name == form[k].name && state[k].tensor.dtype() == form[k].tensor.dtype() &&
           state[k].tensor.rank() == form[k].tensor.rank();
  }
  fits = fits && state[0].tensor.dim(1) == 3 && state[3].tensor.size() == 5 &&
         state[0].tensor.dim(0) == state[1].tensor.size() && *state[2].tensor.data<int64_t>() >= 0;
  if (!fits) fail(ErrorKind::BadInput, "these are no collected metrics");
  class_count_ = *state[2].tensor.data<int64_t>();
  samples_.clear();
  for (int64_t i = 0; i < state[1].tensor.size(); ++i) {
    const int64_t* c = state[0].tensor.data<int64_t>() + 3 * i;
    if (std::min(c[0], c[1]) < 0 || std::max(c[0], c[1]) >= class_count_) {
      fail(ErrorKind::BadInput, "class {} of {} in collected metrics", std::max(c[0], c[1]),
           class_count_);
    }
    samples_.push_back({c[0], c[1], c[2], state[1].tensor.data<double>()[i]});
  }
  const double* sums = state[3].tensor.data<double>();
  elements_ = sums[0];
  absolute_ = sums[1];
  squared_ = sums[2];
  target_sum_ = sums[3];
  target_squares_ = sums[4];
}

}  // namespace onnxrun
