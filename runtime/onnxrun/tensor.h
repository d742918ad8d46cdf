// A dense, row-major tensor that shares its buffer.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "onnxrun/dtype.h"

namespace onnxrun {

// Concrete lengths of all axes.
using Dims = std::vector<int64_t>;

// A handle: copying it shares the elements. Buffers made here are aligned to 64 bytes; wrapped ones
// are as the caller made them. Concurrent reads are safe; a write needs outside synchronisation.
class Tensor {
 public:
  // No tensor: dtype Undefined.
  Tensor() = default;

  // Uninitialised elements (empty strings for String). Throws Limit if the size overflows or the
  // memory cannot be had.
  Tensor(DType dtype, Dims dims);

  // A tensor over memory the caller owns; `keep_alive` may hold that memory's owner. `data` must
  // hold bytes_of(dtype, element_count(dims)) bytes (or that many std::string) for as long as any
  // copy of the handle lives. Throws BadInput if it is not aligned as those C++ values are.
  static Tensor wrap(void* data, DType dtype, Dims dims, std::shared_ptr<void> keep_alive = {});

  // Owned copies of C++ values: Tensor::of<float>({2, 2}, {1, 2, 3, 4}).
  template <typename T>
  static Tensor of(Dims dims, std::span<const T> values);
  template <typename T>
  static Tensor of(Dims dims, std::initializer_list<T> values) {
    return of<T>(std::move(dims), std::span<const T>(values.begin(), values.size()));
  }
  template <typename T>
  static Tensor scalar(T value) {
    return of<T>({}, std::span<const T>(&value, 1));
  }

  bool defined() const { return dtype_ != DType::Undefined; }
  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }
  int64_t rank() const { return static_cast<int64_t>(dims_.size()); }
  int64_t dim(int64_t axis) const { return dims_[static_cast<size_t>(axis)]; }
  // The number of elements.
  int64_t size() const { return size_; }
  // Bytes of the elements; 0 for strings.
  int64_t bytes() const { return bytes_of(dtype_, size_); }
  // "float[2,3]".
  std::string type_text() const;

  // The elements; T must be the C++ type of dtype() (a bool tensor may be read as uint8_t). Any
  // other T is an Internal error.
  template <typename T>
  T* data() {
    if (!holds<T>()) [[unlikely]]
      fail_type(dtype_of<T>);
    return static_cast<T*>(data_);
  }
  template <typename T>
  const T* data() const {
    if (!holds<T>()) [[unlikely]]
      fail_type(dtype_of<T>);
    return static_cast<const T*>(data_);
  }
  template <typename T>
  std::span<const T> span() const {
    return {data<T>(), static_cast<size_t>(size_)};
  }
  template <typename T>
  std::span<T> span() {
    return {data<T>(), static_cast<size_t>(size_)};
  }
  std::byte* raw() { return static_cast<std::byte*>(data_); }
  const std::byte* raw() const { return static_cast<const std::byte*>(data_); }

  // The same buffer with another shape of as many elements.
  Tensor view(Dims dims) const;
  // The same dims and dtype over another buffer of the right size (for executors that rebind).
  void rebind(void* data, std::shared_ptr<void> keep_alive = {});
  // The same dims and dtype over the elements of `other`, which it shares.
  void rebind(const Tensor& other) {
    data_ = other.data_;
    buffer_ = other.buffer_;
  }
  // A tensor of its own with the same elements.
  Tensor clone() const;

  // What keeps the elements; none where that is the caller's business.
  const std::shared_ptr<void>& owner() const { return buffer_; }
  // True if no other handle shares the buffer.
  bool unique() const { return buffer_.use_count() == 1; }
  bool same_buffer(const Tensor& other) const { return data_ == other.data_; }

 private:
  [[noreturn, gnu::cold]] void fail_type(DType asked) const;

  template <typename T>
  bool holds() const {
    return dtype_ == dtype_of<T> || (dtype_ == DType::Bool && std::is_same_v<T, uint8_t>);
  }

  DType dtype_ = DType::Undefined;
  Dims dims_;
  int64_t size_ = 0;
  void* data_ = nullptr;
  std::shared_ptr<void> buffer_;
};

// Copies all elements; dtype and size must match.
void copy_elements(const Tensor& from, Tensor& to);

// True if dtype, dims and every element's bits (strings: characters) are equal.
bool identical(const Tensor& a, const Tensor& b);

template <typename T>
Tensor Tensor::of(Dims dims, std::span<const T> values) {
  Tensor t(dtype_of<T>, std::move(dims));
  assert(t.size() == static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

}  // namespace onnxrun
