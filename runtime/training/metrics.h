// How good predictions are.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/named_tensor.h"

namespace onnxrun {

struct MetricInfo {
  std::string_view name;
  std::string_view formula;
};
const std::vector<MetricInfo>& metric_list();

struct MetricOptions {
  // Axis of the output that counts classes; default as for losses: the one that the target lacks,
  // else axis 1.
  std::optional<int64_t> class_axis = {};
  // Outputs above it are of class 1, where each element is a class of its own (as many outputs as
  // targets): 0.5 for probabilities, 0 for logits.
  double threshold = 0.5;
  // Each element is a class of its own although output and target have several a sample, as where
  // a sample may be of several classes or of none.
  bool independent = false;
  // As in LossOptions: regression metrics take all pairs that broadcasting makes.
  bool allow_broadcast = false;
  // Samples of this class do not count.
  std::optional<int64_t> ignore_index = {};
};

// Collects predictions over batches. What is a class follows from the shapes:
//   target [N], output [N,C]     class indices and scores; the highest score is the prediction
//   both [N,C], C > 1            one-hot rows and scores
//   both [N] or [N,1]            two classes, by the threshold
// with more axes likewise; axes of length 1 may be more or less. Regression metrics compare element
// by element. What losses refuse is refused here. What is collected does not grow with the samples,
// but for auc, which needs the score of each.
class Metrics {
 public:
  // "accuracy", "top5", ...; throws Usage for other names, listing those there are. Without a name
  // it collects what confusion() tells.
  Metrics(std::vector<std::string> names, const MetricOptions& options);
  // Throws as the constructor does.
  static void check(const std::string& name) { kind_of(name); }
  // Whether it compares element by element, not classes.
  static bool compares_elements(const std::string& name) { return kind_of(name).elements; }

  // Throws BadInput where the shapes fit no case above, or a class index is out of range.
  void add(const Tensor& output, const Tensor& target);
  // Forgets what was collected.
  void clear();

  struct Result {
    std::string name;
    double value;  // NaN where there is nothing to measure, e.g. auc with one class
  };
  std::vector<Result> results() const;
  // Of name number `k`.
  double value(size_t k) const;

  // Of metrics without names: int64[classes,classes]: at [t,p], how many samples of class t were
  // taken for class p. Throws Limit where there is no memory for so many classes.
  Tensor confusion() const;
  int64_t class_count() const { return class_count_; }

  // What has been collected, to go on with elsewhere. set_state() throws BadInput for arrays that
  // are none.
  NamedTensors state() const;
  void set_state(const NamedTensors& state);

 private:
  struct Kind {
    bool elements = false;  // compares elements, not classes
    int64_t top = 0;        // the K of topK
    double (Metrics::*value)(size_t k) const = nullptr;
  };
  // Of one class: samples that are of it and were taken for it, were taken for it, are of it.
  struct Counts {
    int64_t hits = 0, predicted = 0, there = 0;
  };
  struct Scored {
    double score;  // of class 1, with two classes
    bool positive;
  };

  static Kind kind_of(const std::string& name);
  void add_elements(const Tensor& output, const Tensor& target);
  void add_classes(const Tensor& output, const Tensor& target);
  void add_one_hot(const Dims& dims, int64_t axis);
  void add_indexed(const Dims& dims, int64_t axis, const std::vector<int64_t>& truth);
  void add_binary();
  void know_classes(int64_t count);
  void count(int64_t truth, int64_t predicted);

  double mae(size_t) const;
  double mse(size_t) const;
  double rmse(size_t) const;
  double r2(size_t) const;
  double accuracy(size_t) const;
  double top(size_t k) const;
  double precision(size_t) const;
  double recall(size_t) const;
  double f1(size_t) const;
  double averaged(double (*of)(const Counts&)) const;
  double auc(size_t) const;

  std::vector<std::string> names_;
  std::vector<Kind> kinds_;
  MetricOptions options_;
  bool elementwise_ = false, by_class_ = false, scored_too_ = false, any_top_ = false;
  std::vector<double> outputs_, targets_;  // of the batch
  int64_t class_count_ = 0, samples_ = 0, right_ = 0;
  std::vector<int64_t> top_hits_;                            // by name
  std::vector<Counts> classes_;                              // if by_class_
  std::vector<Scored> scored_;                               // if scored_too_
  std::map<std::pair<int64_t, int64_t>, int64_t> confused_;  // without names: truth, predicted
  double elements_ = 0, absolute_ = 0, squared_ = 0, target_sum_ = 0, target_squares_ = 0;
};

}  // namespace onnxrun
