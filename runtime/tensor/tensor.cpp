#include "tensor/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>

#include "base/error.h"
#include "base/work.h"

namespace onnxrun {

namespace {

constexpr std::align_val_t alignment{64};

std::shared_ptr<void> allocate_bytes(int64_t bytes) {
  if (bytes > INT64_MAX - 128) fail(ErrorKind::Limit, "a tensor of {} bytes is too large", bytes);
  check_tensor_size(bytes);
  std::shared_ptr<void> taken = take_memory(bytes, "a tensor");
  void* p = ::operator new(static_cast<size_t>(bytes), alignment, std::nothrow);
  if (!p) fail(ErrorKind::Limit, "no memory for a tensor of {} bytes", bytes);
  return {p, [taken](void* q) { ::operator delete(q, alignment); }};
}

std::shared_ptr<void> allocate_strings(int64_t count) {
  struct Strings {
    std::shared_ptr<void> taken;
    std::vector<std::string> elements;
  };
  constexpr auto each = static_cast<int64_t>(sizeof(std::string));
  auto strings = std::make_shared<Strings>();
  if (count > INT64_MAX / each) fail(ErrorKind::Limit, "{} strings are too many", count);
  check_tensor_size(count * each);
  strings->taken = take_memory(count * each, "a tensor");
  try {
    strings->elements.resize(static_cast<size_t>(count));
  } catch (const std::exception&) {
    fail(ErrorKind::Limit, "no memory for a tensor of {} strings", count);
  }
  return {strings, strings->elements.data()};
}

}  // namespace

Tensor::Tensor(DType dtype, Dims dims) : dtype_(dtype), dims_(std::move(dims)) {
  size_ = element_count(dims_);
  buffer_ =
      dtype == DType::String ? allocate_strings(size_) : allocate_bytes(bytes_of(dtype, size_));
  data_ = buffer_.get();
}

Tensor Tensor::wrap(void* data, DType dtype, Dims dims, std::shared_ptr<void> keep_alive) {
  // No element is wider than two words; a string is made of words.
  const int64_t step = dtype == DType::String ? 8 : std::clamp<int64_t>(bytes_of(dtype, 1), 1, 8);
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(step) != 0) {
    fail(ErrorKind::BadInput, "elements of {} at an address that is not a multiple of {}",
         onnxrun::to_string(dtype), step);
  }
  Tensor t;
  t.dtype_ = dtype;
  t.dims_ = std::move(dims);
  t.size_ = element_count(t.dims_);
  t.data_ = data;
  t.buffer_ = std::move(keep_alive);
  return t;
}

void Tensor::fail_type(DType asked) const {
  fail(ErrorKind::Internal, "{} is read as {}", defined() ? type_text() : "no tensor",
       onnxrun::to_string(asked));
}

std::string Tensor::type_text() const { return std::string(to_string(dtype_)) + to_string(dims_); }

Tensor Tensor::view(Dims dims) const {
  Tensor t = *this;
  t.dims_ = std::move(dims);
  if (element_count(t.dims_) != size_) {
    fail(ErrorKind::Internal, "{} is viewed as {}", type_text(), to_string(t.dims_));
  }
  return t;
}

void Tensor::rebind(void* data, std::shared_ptr<void> keep_alive) {
  data_ = data;
  buffer_ = std::move(keep_alive);
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t(dtype_, dims_);
  copy_elements(*this, t);
  return t;
}

void copy_elements(const Tensor& from, Tensor& to) {
  assert(from.dtype() == to.dtype() && from.size() == to.size());
  if (from.raw() == to.raw()) return;
  if (from.dtype() == DType::String) {
    std::copy_n(from.data<std::string>(), from.size(), to.data<std::string>());
  } else if (from.size() > 0) {
    std::memcpy(to.raw(), from.raw(), static_cast<size_t>(from.bytes()));
  }
}

bool identical(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.dims() != b.dims()) return false;
  if (a.dtype() == DType::String) {
    return std::equal(a.data<std::string>(), a.data<std::string>() + a.size(),
                      b.data<std::string>());
  }
  return a.size() == 0 || std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

}  // namespace onnxrun
