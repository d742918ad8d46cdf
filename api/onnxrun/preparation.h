// What became of data before a model was trained on them, as the model's file remembers it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "onnxrun/model.h"
#include "onnxrun/tensor.h"

namespace onnxrun {

// (x * scale - mean) / deviation, computed in double.
struct PreparedInput {
  double scale = 1;
  // double, in the shape of a sample; both undefined where the input is not standardized.
  Tensor mean, deviation;
  int64_t batch_axis = 0;  // that counted the samples

  // Of a batch, or of one sample without an axis for the batch. Throws BadInput for samples of
  // another size.
  Tensor apply(const Tensor& values) const;
};

struct Preparation {
  std::map<std::string, PreparedInput> inputs;
  // What the indices of classes stand for, by the output that gives them.
  std::map<std::string, std::vector<std::string>> classes;

  bool empty() const { return inputs.empty() && classes.empty(); }

  // What the model's metadata have under "onnxrun.data", a JSON document; nothing if there is none.
  // Throws BadModel if it is damaged.
  static Preparation of(const Model& model);
};

}  // namespace onnxrun
