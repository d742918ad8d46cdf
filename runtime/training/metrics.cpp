#include "training/metrics.h"

#include <algorithm>
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

// The K of "topK", or 0.
int64_t top_count(const std::string& name) {
  if (!name.starts_with("top")) return 0;
  int64_t k = 0;
  const char *begin = name.data() + 3, *end = name.data() + name.size();
  auto [last, error] = std::from_chars(begin, end, k);
  return error == std::errc() && last == end && k > 0 ? k : 0;
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

// to_doubles() into memory that is there.
void read(const Tensor& t, std::vector<double>& values) {
  auto take = [&](const auto* from) { values.assign(from, from + t.size()); };
  if (t.dtype() == DType::Float32) return take(t.data<float>());
  if (t.dtype() == DType::Float64) return take(t.data<double>());
  if (t.dtype() == DType::Int64) return take(t.data<int64_t>());
  values = to_doubles(t);
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

Metrics::Kind Metrics::kind_of(const std::string& name) {
  if (int64_t k = top_count(name)) return {.top = k, .value = &Metrics::top};
  find_named(metric_list(), name, "metric");
  if (name == "mae") return {.elements = true, .value = &Metrics::mae};
  if (name == "mse") return {.elements = true, .value = &Metrics::mse};
  if (name == "rmse") return {.elements = true, .value = &Metrics::rmse};
  if (name == "r2") return {.elements = true, .value = &Metrics::r2};
  if (name == "accuracy") return {.value = &Metrics::accuracy};
  if (name == "precision") return {.value = &Metrics::precision};
  if (name == "recall") return {.value = &Metrics::recall};
  if (name == "f1") return {.value = &Metrics::f1};
  return {.value = &Metrics::auc};
}

Metrics::Metrics(std::vector<std::string> names, const MetricOptions& options)
    : names_(std::move(names)), options_(options), top_hits_(names_.size()) {
  for (const std::string& name : names_) {
    kinds_.push_back(kind_of(name));
    elementwise_ = elementwise_ || kinds_.back().elements;
    by_class_ = by_class_ || name == "precision" || name == "recall" || name == "f1";
    scored_too_ = scored_too_ || name == "auc";
    any_top_ = any_top_ || kinds_.back().top > 0;
  }
}

void Metrics::clear() {
  class_count_ = samples_ = right_ = 0;
  std::fill(top_hits_.begin(), top_hits_.end(), 0);
  classes_.clear();
  scored_.clear();
  confused_.clear();
  elements_ = absolute_ = squared_ = target_sum_ = target_squares_ = 0;
}

void Metrics::add(const Tensor& output, const Tensor& target) {
  read(output, outputs_);
  read(target, targets_);
  auto of_classes = [](const Kind& kind) { return !kind.elements; };
  bool classes = names_.empty() || std::any_of(kinds_.begin(), kinds_.end(), of_classes);
  if (classes) add_classes(output, target);
  if (elementwise_) add_elements(output, target);
}

void Metrics::add_elements(const Tensor& output, const Tensor& target) {
  std::vector<double>&y = outputs_, &t = targets_;
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
  if (agree(y, t)) {
    bool single = output.rank() < 2 || output.dim(1) == 1 || y.back() == 1;
    int64_t axis = std::min<int64_t>(1, output.rank() - 1);
    if (options_.class_axis && output.rank() > 0) {
      axis = normalize_axis(*options_.class_axis, output.rank());
      single = output.dim(axis) == 1;
    }
    if (single || options_.independent) return add_binary();
    return add_one_hot(y, axis);
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
  add_indexed(y, axis, as_classes(targets_));
}

void Metrics::know_classes(int64_t count) {
  class_count_ = std::max(class_count_, count);
  if (by_class_) classes_.resize(static_cast<size_t>(class_count_));
}

void Metrics::count(int64_t truth, int64_t predicted) {
  ++samples_;
  right_ += truth == predicted;
  if (by_class_) {
    ++classes_[static_cast<size_t>(truth)].there;
    ++classes_[static_cast<size_t>(predicted)].predicted;
    classes_[static_cast<size_t>(truth)].hits += truth == predicted;
  }
  if (names_.empty()) ++confused_[{truth, predicted}];
}

namespace {

// Sample `s` of scores that have `classes` along an axis, `inner` elements apart.
class Row {
 public:
  Row(const std::vector<double>& scores, int64_t s, int64_t classes, int64_t inner)
      : at_(scores.data() + (s / inner) * classes * inner + s % inner),
        classes_(classes),
        inner_(inner) {}

  double operator[](int64_t c) const { return at_[c * inner_]; }
  int64_t highest() const {
    int64_t best = 0;
    for (int64_t c = 1; c < classes_; ++c) {
      if ((*this)[c] > (*this)[best]) best = c;
    }
    return best;
  }
  // How many score higher.
  int64_t rank(int64_t of) const {
    int64_t higher = 0;
    for (int64_t c = 0; c < classes_; ++c) higher += (*this)[c] > (*this)[of];
    return higher;
  }

 private:
  const double* at_;
  int64_t classes_, inner_;
};

int64_t elements_behind(const Dims& dims, int64_t axis) {
  return element_count(std::span(dims).subspan(static_cast<size_t>(axis) + 1));
}

}  // namespace

// The true class of a one-hot row is where it is highest.
void Metrics::add_one_hot(const Dims& dims, int64_t axis) {
  int64_t classes = dims[static_cast<size_t>(axis)], inner = elements_behind(dims, axis);
  std::vector<int64_t> truth(targets_.size() / static_cast<size_t>(classes));
  for (size_t s = 0; s < truth.size(); ++s) {
    truth[s] = Row(targets_, static_cast<int64_t>(s), classes, inner).highest();
  }
  add_indexed(dims, axis, truth);
}

void Metrics::add_indexed(const Dims& dims, int64_t axis, const std::vector<int64_t>& truth) {
  int64_t classes = dims[static_cast<size_t>(axis)], inner = elements_behind(dims, axis);
  know_classes(classes);
  for (size_t s = 0; s < truth.size(); ++s) {
    if (options_.ignore_index == truth[s]) continue;
    if (truth[s] < 0 || truth[s] >= classes) {
      fail(ErrorKind::BadInput, "class {} of the target is not among the {} classes of the output",
           truth[s], classes);
    }
    Row row(outputs_, static_cast<int64_t>(s), classes, inner);
    count(truth[s], row.highest());
    if (any_top_) {
      int64_t rank = row.rank(truth[s]);
      for (size_t k = 0; k < kinds_.size(); ++k) top_hits_[k] += rank < kinds_[k].top;
    }
    if (scored_too_) scored_.push_back({classes == 2 ? row[1] - row[0] : 0, truth[s] != 0});
  }
}

void Metrics::add_binary() {
  know_classes(2);
  for (size_t s = 0; s < outputs_.size(); ++s) {
    int64_t truth = targets_[s] > 0.5 ? 1 : 0;
    int64_t predicted = outputs_[s] > options_.threshold ? 1 : 0;
    count(truth, predicted);
    int64_t rank = truth == predicted ? 0 : 1;
    for (size_t k = 0; any_top_ && k < kinds_.size(); ++k) top_hits_[k] += rank < kinds_[k].top;
    if (scored_too_) scored_.push_back({outputs_[s], truth == 1});
  }
}

std::vector<Metrics::Result> Metrics::results() const {
  std::vector<Result> list;
  for (size_t k = 0; k < names_.size(); ++k) list.push_back({names_[k], value(k)});
  return list;
}

double Metrics::value(size_t k) const { return (this->*kinds_[k].value)(k); }

double Metrics::mae(size_t) const { return absolute_ / elements_; }
double Metrics::mse(size_t) const { return squared_ / elements_; }
double Metrics::rmse(size_t) const { return std::sqrt(squared_ / elements_); }
double Metrics::r2(size_t) const {
  return 1 - squared_ / (target_squares_ - target_sum_ * target_sum_ / elements_);
}

double Metrics::accuracy(size_t) const {
  return static_cast<double>(right_) / static_cast<double>(samples_);
}

double Metrics::top(size_t k) const {
  return static_cast<double>(top_hits_[k]) / static_cast<double>(samples_);
}

static double part(int64_t hits, int64_t of) {
  return of > 0 ? static_cast<double>(hits) / static_cast<double>(of) : 0;
}

double Metrics::precision(size_t) const {
  return averaged([](const Counts& c) { return part(c.hits, c.predicted); });
}
double Metrics::recall(size_t) const {
  return averaged([](const Counts& c) { return part(c.hits, c.there); });
}
double Metrics::f1(size_t) const {
  return averaged([](const Counts& c) { return part(2 * c.hits, c.predicted + c.there); });
}

// Over the classes that occur, as truth or prediction; of two classes, class 1 alone.
double Metrics::averaged(double (*of)(const Counts&)) const {
  double sum = 0, counted = 0;
  for (size_t c = classes_.size() == 2 ? 1 : 0; c < classes_.size(); ++c) {
    if (classes_[c].there + classes_[c].predicted == 0) continue;
    sum += of(classes_[c]);
    counted += 1;
  }
  return counted > 0 ? sum / counted : no_value_at_all;
}

// The rank-sum statistic (Mann and Whitney 1947); equal scores share their ranks.
double Metrics::auc(size_t) const {
  if (class_count_ != 2) return no_value_at_all;
  std::vector<Scored> sorted = scored_;
  std::sort(sorted.begin(), sorted.end(),
            [](const Scored& a, const Scored& b) { return a.score < b.score; });
  double ranks = 0, positive = 0;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end].score == sorted[i].score) ++end;
    double rank = (static_cast<double>(i + end) + 1) / 2;
    for (; i < end; ++i) {
      if (!sorted[i].positive) continue;
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
  for (const auto& [pair, samples] : confused_) {
    counts[pair.first * class_count_ + pair.second] = samples;
  }
  return table;
}

NamedTensors Metrics::state() const {
  auto rows = [](size_t n, int64_t columns) {
    return Tensor(DType::Int64, {static_cast<int64_t>(n), columns});
  };
  Tensor classes = rows(classes_.size(), 3), confused = rows(confused_.size(), 3),
         positive = rows(scored_.size(), 1);
  Tensor scores(DType::Float64, {static_cast<int64_t>(scored_.size())});
  int64_t* to = classes.data<int64_t>();
  for (const Counts& c : classes_) {
    for (int64_t v : {c.hits, c.predicted, c.there}) *to++ = v;
  }
  to = confused.data<int64_t>();
  for (const auto& [pair, samples] : confused_) {
    for (int64_t v : {pair.first, pair.second, samples}) *to++ = v;
  }
  for (size_t i = 0; i < scored_.size(); ++i) {
    scores.data<double>()[i] = scored_[i].score;
    positive.data<int64_t>()[i] = scored_[i].positive;
  }
  Tensor top = rows(top_hits_.size(), 1);
  std::copy(top_hits_.begin(), top_hits_.end(), top.data<int64_t>());
  return {{"samples", Tensor::of<int64_t>({3}, {class_count_, samples_, right_})},
          {"top", top},
          {"classes", classes},
          {"confused", confused},
          {"scores", scores},
          {"positive", positive},
          {"sums", Tensor::of<double>(
                       {5}, {elements_, absolute_, squared_, target_sum_, target_squares_})}};
}

void Metrics::set_state(const NamedTensors& state) {
  const NamedTensors form = Metrics(names_, options_).state();
  bool fits = state.size() == form.size();
  for (size_t k = 0; fits && k < form.size(); ++k) {
    const Tensor &given = state[k].tensor, &wanted = form[k].tensor;
    bool grows = form[k].name != "samples" && form[k].name != "top" && form[k].name != "sums";
    fits = state[k].name == form[k].name && given.dtype() == wanted.dtype() &&
           given.rank() == wanted.rank() && (grows || given.dims() == wanted.dims()) &&
           (given.rank() < 2 || given.dim(1) == wanted.dim(1));
  }
  if (!fits) fail(ErrorKind::BadInput, "what was measured so far is not what is measured here");
  const Tensor &classes = state[2].tensor, &confused = state[3].tensor, &scores = state[4].tensor;
  const int64_t* counts = state[0].tensor.data<int64_t>();
  bool agrees = counts[0] >= 0 && scores.size() == state[5].tensor.size() &&
                classes.dim(0) == (by_class_ ? counts[0] : 0) &&
                (names_.empty() || confused.size() == 0) && (scored_too_ || scores.size() == 0);
  for (int64_t i = 0; agrees && i < confused.dim(0); ++i) {
    const int64_t* row = confused.data<int64_t>() + 3 * i;
    agrees = std::min(row[0], row[1]) >= 0 && std::max(row[0], row[1]) < counts[0];
  }
  if (!agrees) fail(ErrorKind::BadInput, "collected metrics contradict each other");
  clear();
  class_count_ = counts[0];
  samples_ = counts[1];
  right_ = counts[2];
  std::copy_n(state[1].tensor.data<int64_t>(), top_hits_.size(), top_hits_.begin());
  for (int64_t i = 0; i < classes.dim(0); ++i) {
    const int64_t* row = classes.data<int64_t>() + 3 * i;
    classes_.push_back({row[0], row[1], row[2]});
  }
  for (int64_t i = 0; i < confused.dim(0); ++i) {
    const int64_t* row = confused.data<int64_t>() + 3 * i;
    confused_[{row[0], row[1]}] = row[2];
  }
  for (int64_t i = 0; i < scores.size(); ++i) {
    scored_.push_back({scores.data<double>()[i], state[5].tensor.data<int64_t>()[i] != 0});
  }
  const double* sums = state[6].tensor.data<double>();
  elements_ = sums[0];
  absolute_ = sums[1];
  squared_ = sums[2];
  target_sum_ = sums[3];
  target_squares_ = sums[4];
}

}  // namespace onnxrun
