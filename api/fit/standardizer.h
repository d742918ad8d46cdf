// Features with mean 0 and standard deviation 1.
#pragma once

#include <string>

#include "sets/dataset.h"
#include "tensor/tensor.h"

namespace onnxrun {

// (x - mean) / deviation for each element of a sample; deviations of 0 count as 1.
class Standardizer {
 public:
  // Both in the shape of a sample, in double.
  Standardizer(const Tensor& mean, const Tensor& deviation);
  // Mean and population standard deviation over the samples of array `a`.
  static Standardizer fit(const Dataset& data, size_t a);

  // The elements as double, `axis` counting the samples; or those of one sample without such an
  // axis. Throws BadInput for samples of another size.
  Tensor apply(const Tensor& values, int64_t axis) const;

  // In the shape of a sample.
  Tensor mean() const { return as_sample(mean_); }
  Tensor deviation() const { return as_sample(deviation_); }

  // "mean 0.1 to 3, deviation 0.5 to 2"
  std::string summary() const;

 private:
  Standardizer() = default;
  Tensor as_sample(const std::vector<double>& values) const {
    return Tensor::of<double>(dims_, values);
  }

  Dims dims_;  // of a sample
  std::vector<double> mean_, deviation_;
};

}  // namespace onnxrun
