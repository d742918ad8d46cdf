// A dense, row-major tensor that shares its buffer.
#pragma once

#include <cassert>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace onnxrun {

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
  // copy of the handle lives.
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

// How values are converted to the narrowest floats (attributes of Cast).
struct ConvertOptions {
  bool saturate = true;
  PowerRounding rounding = PowerRounding::Up;
};

// The elements converted to another numeric type, packed types unpacked and packed:
// - to a float: rounded to nearest once, infinity if out of range (small_float.h for 8 and 4 bits;
//   integers reach the floats of 16 bits and fewer by way of double);
// - float to integer: truncated. Out of range or NaN is what x86-64 computes: int32 and int64 get
//   their lowest value, 8- to 2-bit and 16-bit types the low bits of the int32, uint32 those of the
//   int64, uint64 2^63 for NaN and below -2^63, and 0 from 2^64 on;
// - integer to integer: the low bits;
// - to bool: value != 0 (NaN is true);
// - complex to complex only.
// Throws Unsupported for strings and between complex and other types.
Tensor convert(const Tensor& from, DType to, const ConvertOptions& options = {});

// convert() into the elements of `to`, which has as many of them and must not overlap `from`.
void convert_into(const Tensor& from, Tensor& to, const ConvertOptions& options = {});

// Integer tensors (any integer type) as int64; throws BadInput for other types.
std::vector<int64_t> to_int64s(const Tensor& t);
// Any numeric or bool tensor as doubles, packed types unpacked.
std::vector<double> to_doubles(const Tensor& t);

// Packed 6-, 4- and 2-bit elements, low bits first (onnx.proto, TensorProto.raw_data); only those
// of six bits reach from one byte into the next. Setting one writes the bytes it lies in.
inline uint8_t packed_bits(const std::byte* data, int64_t index, int bits) {
  int64_t bit = index * bits, at = bit / 8;
  int shift = static_cast<int>(bit % 8);
  auto window = static_cast<unsigned>(data[at]);
  if (shift + bits > 8) window |= static_cast<unsigned>(data[at + 1]) << 8;
  return static_cast<uint8_t>((window >> shift) & ((1u << bits) - 1));
}
inline void set_packed_bits(std::byte* data, int64_t index, int bits, uint8_t value) {
  int64_t bit = index * bits, at = bit / 8;
  int shift = static_cast<int>(bit % 8);
  unsigned mask = ((1u << bits) - 1) << shift, wanted = (unsigned{value} << shift) & mask;
  data[at] = (data[at] & ~static_cast<std::byte>(mask)) | static_cast<std::byte>(wanted);
  if (shift + bits > 8) {
    auto mask_above = static_cast<std::byte>(mask >> 8);
    data[at + 1] = (data[at + 1] & ~mask_above) | static_cast<std::byte>(wanted >> 8);
  }
}

template <typename T>
Tensor Tensor::of(Dims dims, std::span<const T> values) {
  Tensor t(dtype_of<T>, std::move(dims));
  assert(t.size() == static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

}  // namespace onnxrun
