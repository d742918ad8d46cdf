// Models of real exporters with the results their frameworks gave (tests/data/corpus/README.md).
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "graph/type.h"
#include "onnxrun/trainer.h"

namespace onnxrun::testing {

// The folders all of whose operators are there (tests/data/corpus/supported.txt). The list only
// grows.
std::vector<std::string> supported_cases();

// All folders, those with operators that are not there yet, too.
std::vector<std::string> all_cases();

// One folder of the corpus.
class CorpusCase {
 public:
  explicit CorpusCase(const std::string& name);

  std::string model_path() const { return folder_ + "/model.onnx"; }
  const nlohmann::json& facts() const { return facts_; }  // case.json
  nlohmann::json training() const;                        // train/train.json
  bool has(const std::string& file) const;
  std::string file(const std::string& relative) const { return folder_ + "/" + relative; }

  // The arrays of an .npz file by name.
  std::map<std::string, Tensor> arrays(const std::string& relative) const;
  // Values of test_data_set_K or grad/: prefix "input", "output", "cotangent".
  std::vector<RuntimeValue> values(const std::string& relative_folder, const std::string& prefix,
                                   const std::vector<Type>& types) const;
  // The batches of the reference's training in their order.
  struct Batch {
    NamedValues inputs;
    Tensor target;  // undefined if the model brings its loss along
  };
  std::vector<Batch> batches(const Model& model) const;
  // What the reference trained with.
  TrainerOptions trainer_options() const;

 private:
  std::string folder_;
  nlohmann::json facts_;
};

// max |a - b| over all elements; infinite if the sizes differ or one is NaN.
double largest_difference(const std::vector<double>& a, const std::vector<double>& b);

// max |a - b| / max |b| over all elements.
double relative_difference(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace onnxrun::testing
