// Features with mean 0 and standard deviation 1.
#pragma once

#include <string>

#include "sets/dataset.h"
#include "tensor/tensor.h"

namespace onnxrun::tool {

// (x - mean) / deviation for each element of a sample; deviations of 0 count as 1.
class Standardizer {
 public:
  // Mean and population standard deviation over the samples of array `a`.
  static Standardizer fit(const Dataset& data, size_t a);

  // The elements as double, `axis` counting the samples.
  Tensor apply(const Tensor& values, int64_t axis) const;

  // "mean 0.1 to 3, deviation 0.5 to 2"
  std::string summary() const;

 private:
  std::vector<double> mean_, deviation_;
};

}  // namespace onnxrun::tool
