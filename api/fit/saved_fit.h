// The state of a training as named arrays.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "onnxrun/fit.h"

namespace onnxrun {

// Arrays called GROUP/NAME, as a .npz file holds them. Reading throws BadInput naming what is
// missing or of another type or length.
class SavedFit {
 public:
  SavedFit() = default;
  explicit SavedFit(const NamedTensors& arrays);

  void add(const std::string& group, const NamedTensors& arrays);
  void add(const std::string& name, const std::vector<int64_t>& values);
  void add(const std::string& name, const std::vector<double>& values);
  void add_history(const std::vector<EpochRecord>& history);
  const NamedTensors& arrays() const { return arrays_; }

  NamedTensors group(const std::string& name) const;
  std::vector<int64_t> integers(const std::string& name, size_t count) const;
  std::vector<double> doubles(const std::string& name, size_t count) const;
  std::vector<EpochRecord> history() const;

 private:
  const Tensor& find(const std::string& name, DType dtype) const;

  NamedTensors arrays_;
};

}  // namespace onnxrun
