// Operators of one's own, for models that use what this library does not have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "onnxrun/tensor.h"

namespace onnxrun {

class OpRegistry;

using CustomAttribute = std::variant<int64_t, float, std::string, std::vector<int64_t>,
                                     std::vector<float>, std::vector<std::string>>;
using CustomAttributes = std::map<std::string, CustomAttribute>;

// What is known of a tensor: lengths that are not known yet are -1; without dims not even the rank
// is.
struct TensorType {
  DType dtype = DType::Undefined;
  std::optional<Dims> dims;
};

// An operator of `inputs` tensors that gives `outputs` tensors, whose shapes follow from those of
// the inputs and the attributes. Its functions may be called from many threads at once; what they
// throw becomes an Error that names the node.
struct CustomOperator {
  std::string domain;  // as the file has it, e.g. "com.example"; not one that the library has
  std::string name;
  size_t inputs = 1, outputs = 1;
  // Those that a node may have, with what they are where it does not; another one is an error.
  CustomAttributes attributes = {};

  using Tensors = std::vector<Tensor>;
  // Types of the outputs. Called before lengths are known, and again for each signature that is.
  std::function<std::vector<TensorType>(const std::vector<TensorType>& inputs,
                                        const CustomAttributes& attributes)>
      infer;
  // Writes the elements of the outputs, which are allocated as infer() said.
  std::function<void(const Tensors& inputs, Tensors& outputs, const CustomAttributes& attributes)>
      run;
  // Writes the cotangents of the inputs, which are zero before and have their inputs' types, given
  // those of the outputs (zeros where none flows). Without it nothing trains through the operator.
  // There is no second derivative.
  std::function<void(const Tensors& inputs, const Tensors& outputs, const Tensors& d_outputs,
                     Tensors& d_inputs, const CustomAttributes& attributes)>
      gradient = {};
};

// The library's operators and one's own, for LoadOptions::operators. Copies share them, and what
// has been added stays as long as the program runs. Adding and loading are done by one thread at a
// time.
class Operators {
 public:
  Operators();

  // Throws Usage for an operator that is there already, or has no infer() or run().
  void add(CustomOperator op);

  const OpRegistry& registry() const { return *registry_; }

 private:
  OpRegistry* registry_;
};

}  // namespace onnxrun
