// Two model files: their initializers, and everything else.
#pragma once

#include <string>
#include <vector>
#include "formats/json.h"

#include "comparison.h"
#include "onnxrun/model.h"

namespace onnxrun::tool {

struct WeightComparison {
  struct Changed {
    std::string name;
    Comparison result;
  };
  std::vector<Changed> changed;
  int64_t equal = 0;
  std::vector<std::string> only_in_model, only_in_reference;
  std::vector<std::string> other;  // what the files say differently beside elements and locations

  bool same() const {
    return changed.empty() && only_in_model.empty() && only_in_reference.empty() && other.empty();
  }
  std::string to_text() const;
  void to_json(Json& document) const;
};

// Weights are compared bit by bit (NaN is NaN).
WeightComparison compare_weights(const Model& model, const Model& reference,
                                 const std::string& model_path, const std::string& reference_path);

}  // namespace onnxrun::tool
