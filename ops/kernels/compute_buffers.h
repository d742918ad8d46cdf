// Operands as kernels compute with them: 16-bit floats as float, all others as they are.
#pragma once

#include <algorithm>
#include <optional>

#include "kernels/scratch.h"
#include "tensor/tensor.h"

namespace onnxrun {

// The elements of an input; a copy in working memory if they are 16-bit floats. Local variables
// only (see Scratch).
template <typename T>
class ComputeInput {
 public:
  using C = ComputeType<T>;

  explicit ComputeInput(const Tensor& t) : ComputeInput(&t) {}
  // Null has null elements.
  explicit ComputeInput(const Tensor* tensor) {
    if (!tensor) return;
    const Tensor& t = *tensor;
    if constexpr (std::is_same_v<T, C>) {
      data_ = t.data<T>();
    } else {
      scratch_.emplace(static_cast<size_t>(t.size()) * sizeof(C));
      std::copy_n(t.data<T>(), t.size(), scratch_->template as<C>());
      data_ = scratch_->template as<C>();
    }
  }
  const C* data() const { return data_; }

 private:
  const C* data_ = nullptr;
  std::optional<Scratch> scratch_;
};

// Where to write an output; store() rounds it into the tensor.
template <typename T>
class ComputeOutput {
 public:
  using C = ComputeType<T>;

  explicit ComputeOutput(Tensor& t) : tensor_(t) {
    if constexpr (std::is_same_v<T, C>) {
      data_ = t.data<T>();
    } else {
      scratch_.emplace(static_cast<size_t>(t.size()) * sizeof(C));
      data_ = scratch_->template as<C>();
    }
  }
  C* data() const { return data_; }
  void store() {
    if constexpr (!std::is_same_v<T, C>) {
      std::transform(data_, data_ + tensor_.size(), tensor_.data<T>(),
                     [](C v) { return static_cast<T>(v); });
    }
  }

 private:
  Tensor& tensor_;
  C* data_;
  std::optional<Scratch> scratch_;
};

}  // namespace onnxrun
