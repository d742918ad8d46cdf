// How good predictions are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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
// by element. What losses refuse is refused here.
class Metrics {
 public:
  // "accuracy", "top5", ...; throws Usage for other names, listing those there are.
  Metrics(std::vector<std::string> names, const MetricOptions& options);

  // Throws BadInput where the shapes fit no case above, or a class index is out of range.
  void add(const Tensor& output, const Tensor& target);
  // Forgets what was collected.
  void clear();

  struct Result {
    std::string name;
    double value;  // NaN where there is nothing to measure, e.g. auc with one class
  };
  std::vector<Result> results() const;

  // int64[classes,classes]: at [t,p], how many samples of class t were taken for class p. Throws
  // Limit where there is no memory for so many classes.
  Tensor confusion() const;
  int64_t class_count() const { return class_count_; }

  // What has been collected, to go on with elsewhere. set_state() throws BadInput for arrays that
  // are none.
  NamedTensors state() const;
  void set_state(const NamedTensors& state);

 private:
  struct Sample {
    int64_t truth, predicted, rank;  // rank: how many classes score higher than the true one
    double score;                    // of class 1, with two classes
  };

  void add_elements(const Tensor& output, const Tensor& target);
  void add_one_hot(const std::vector<double>& scores, const Dims& dims, int64_t axis,
                   const std::vector<double>& truth);
  void add_classes(const Tensor& output, const Tensor& target);
  void add_indexed(const std::vector<double>& scores, const Dims& dims, int64_t axis,
                   const std::vector<int64_t>& truth);
  void add_binary(const std::vector<double>& scores, const std::vector<double>& truth);
  double value_of(const std::string& name) const;
  double top(int64_t k) const;
  double averaged(double (*of)(double hits, double predicted, double there)) const;
  double auc() const;

  std::vector<std::string> names_;
  MetricOptions options_;
  bool elementwise_ = false, classes_ = false;
  std::vector<Sample> samples_;
  int64_t class_count_ = 0;
  double elements_ = 0, absolute_ = 0, squared_ = 0, target_sum_ = 0, target_squares_ = 0;
};

}  // namespace onnxrun
