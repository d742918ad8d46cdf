// What kernels lay out of constants, shared by the plans of a model.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "onnxrun/tensor.h"

namespace onnxrun {

// Every plan of a model, one a signature of shapes, wants the same weights in the same order: they
// are in memory once, as long as one of these plans is. Thread-safe.
class PackedConstants {
 public:
  // What `make` returns, or has returned for the same elements and the same `layout`, which has to
  // say all that the result depends on beside them.
  Tensor get(const Tensor& constant, const std::string& layout,
             const std::function<Tensor()>& make);

 private:
  // The constant lives as long, so that no other lies in its place.
  struct Entry {
    Tensor constant, packed;
  };
  std::mutex mutex_;
  std::map<std::pair<const void*, std::string>, std::weak_ptr<Entry>> entries_;
};

}  // namespace onnxrun
