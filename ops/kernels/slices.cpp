#include "kernels/slices.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace onnxrun {

namespace {

// A tensor as [outer, length, inner] around one axis.
struct Around {
  Around(const Dims& dims, int64_t axis) {
    for (size_t i = 0; i < dims.size(); ++i) {
      auto at = static_cast<int64_t>(i);
      if (at < axis) outer *= dims[i];
      if (at == axis) length = dims[i];
      if (at > axis) inner *= dims[i];
    }
  }
  int64_t outer = 1, length = 1, inner = 1;
};

// Copies `count` elements; offsets and counts are in elements.
void copy_run(const Tensor& from, int64_t from_at, Tensor& to, int64_t to_at, int64_t count) {
  int bits = bits_of(from.dtype());
  if (from.dtype() == DType::String) {
    std::copy_n(from.data<std::string>() + from_at, count, to.data<std::string>() + to_at);
  } else if (bits >= 8) {
    int64_t size = bits / 8;
    if (count > 0) {
      std::memcpy(to.raw() + to_at * size, from.raw() + from_at * size,
                  static_cast<size_t>(count * size));
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      set_packed_bits(to.raw(), to_at + i, bits, packed_bits(from.raw(), from_at + i, bits));
    }
  }
}

Tensor counted(Tensor t, const RunControl& control) {
  return t.dtype() == DType::String ? control.count_text(std::move(t)) : t;
}

constexpr size_t gathered_slices = 1024;
constexpr int64_t small_elements = 256;

// put_slice() of the elements of `from` that begin at `from_at`.
void put_elements(const Tensor& from, int64_t from_at, Tensor& t, int64_t axis, int64_t index) {
  if (t.size() == 0) return;
  Around a(t.dims(), axis);
  for (int64_t o = 0; o < a.outer; ++o) {
    copy_run(from, from_at + o * a.inner, t, (o * a.length + index) * a.inner, a.inner);
  }
}

}  // namespace

Tensor take_slice(const Tensor& t, int64_t axis, int64_t index, const RunControl& control) {
  Around a(t.dims(), axis);
  Dims dims = t.dims();
  dims.erase(dims.begin() + axis);
  Tensor slice = control.allocate(t.dtype(), dims);
  if (slice.size() == 0) return slice;
  for (int64_t o = 0; o < a.outer; ++o) {
    copy_run(t, (o * a.length + index) * a.inner, slice, o * a.inner, a.inner);
  }
  return counted(std::move(slice), control);
}

void put_slice(const Tensor& slice, Tensor& t, int64_t axis, int64_t index) {
  put_elements(slice, 0, t, axis, index);
}

void take_elements(const Tensor& t, int64_t axis, int64_t begin, Tensor& part) {
  if (part.size() == 0) return;
  Around from(t.dims(), axis), to(part.dims(), axis);
  int64_t count = to.length * to.inner;
  for (int64_t o = 0; o < to.outer; ++o) {
    copy_run(t, (o * from.length + begin) * from.inner, part, o * count, count);
  }
}

void put_range(const Tensor& part, Tensor& t, int64_t axis, int64_t begin) {
  if (part.size() == 0) return;
  Around from(part.dims(), axis), to(t.dims(), axis);
  int64_t count = from.length * from.inner;
  for (int64_t o = 0; o < from.outer; ++o) {
    copy_run(part, o * count, t, (o * to.length + begin) * to.inner, count);
  }
}

Tensor stack_slices(const std::vector<RuntimeValue>& slices, DType dtype, const Dims& empty,
                    int64_t axis, bool reverse, const RunControl& control, std::string_view what) {
  Dims dims = slices.empty() ? empty : slices[0].tensor.dims();
  for (const RuntimeValue& s : slices) {
    if (!s.is_tensor() || s.tensor.dtype() != dtype) {
      fail(ErrorKind::BadInput, "{} is {}, expected {}", what, describe(s), to_string(dtype));
    }
    if (s.tensor.dims() != dims) {
      fail(ErrorKind::BadInput, "{} is {} in one iteration and {} in another", what,
           slices[0].tensor.type_text(), s.tensor.type_text());
    }
  }
  auto count = static_cast<int64_t>(slices.size());
  dims.insert(dims.begin() + normalize_axis(axis, static_cast<int64_t>(dims.size()) + 1), count);
  int64_t text = 0;
  for (const RuntimeValue& s : slices) text += RunControl::text_bytes(s.tensor);
  control.require(1, text, what);
  Tensor stacked = control.allocate(dtype, dims);
  for (int64_t i = 0; i < count; ++i) {
    put_slice(slices[static_cast<size_t>(i)].tensor, stacked, normalize_axis(axis, stacked.rank()),
              reverse ? count - 1 - i : i);
  }
  return counted(std::move(stacked), control);
}

Type stacked_type(const InferContext& c, Type slice, size_t k, int64_t axis, const Dim& count) {
  if (slice.is_known() && !slice.is_tensor()) {
    c.reject("scan output {} of the body is {}, only tensors can be stacked", k, slice.to_string());
  }
  if (slice.shape) {
    int64_t at = normalize_axis(axis, slice.rank() + 1);
    slice.shape->insert(slice.shape->begin() + at, count);
  }
  return slice;
}

void SliceStack::add(RuntimeValue slice) {
  if (!slice.is_tensor()) {
    fail(ErrorKind::BadInput, "{} is {}, only tensors can be stacked", what_, describe(slice));
  }
  single_.push_back(std::move(slice));
  const Tensor& last = single_.back().tensor;
  if (single_.size() < gathered_slices || last.size() > small_elements) return;
  gathered_.push_back(stack_slices(single_, last.dtype(), last.dims(), 0, false, control_, what_));
  single_.clear();
}

Tensor SliceStack::stacked(const Type& type, int64_t axis, bool reverse) const {
  DType dtype = type.dtype;
  if (!single_.empty()) dtype = single_[0].tensor.dtype();
  if (!gathered_.empty()) dtype = gathered_[0].dtype();
  if (dtype == DType::Undefined) {
    fail(ErrorKind::BadInput, "{} has no elements to tell its element type", what_);
  }
  Dims empty;
  if (type.shape) {
    for (const Dim& d : *type.shape) empty.push_back(d.is_known() ? d.value() : 0);
  }
  return stacked(dtype, empty, axis, reverse);
}

Tensor SliceStack::stacked(DType dtype, const Dims& empty, int64_t axis, bool reverse) const {
  if (gathered_.empty()) {
    return stack_slices(single_, dtype, empty, axis, reverse, control_, what_);
  }
  std::vector<Tensor> parts = gathered_;
  const Dims slice(parts[0].dims().begin() + 1, parts[0].dims().end());
  parts.push_back(stack_slices(single_, dtype, slice, 0, false, control_, what_));
  int64_t count = 0;
  for (const Tensor& part : parts) {
    if (part.dtype() != dtype) {
      fail(ErrorKind::BadInput, "{} is {}, expected {}", what_, part.type_text(), to_string(dtype));
    }
    if (!std::equal(slice.begin(), slice.end(), part.dims().begin() + 1, part.dims().end())) {
      fail(ErrorKind::BadInput, "{} is {} in one iteration and {} in another", what_,
           to_string(slice), to_string(Dims(part.dims().begin() + 1, part.dims().end())));
    }
    count += part.dim(0);
  }
  Dims dims = slice;
  axis = normalize_axis(axis, static_cast<int64_t>(dims.size()) + 1);
  dims.insert(dims.begin() + axis, count);
  int64_t text = 0;
  for (const Tensor& part : parts) text += RunControl::text_bytes(part);
  control_.require(1, text, what_);
  Tensor result = control_.allocate(dtype, dims);
  int64_t at = 0, elements = element_count(slice);
  for (const Tensor& part : parts) {
    for (int64_t i = 0; i < part.dim(0); ++i, ++at) {
      put_elements(part, i * elements, result, axis, reverse ? count - 1 - at : at);
    }
  }
  return counted(std::move(result), control_);
}

}  // namespace onnxrun
