// Moving elements without looking at them: by their size, whatever their type.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/transpose.h"
#include "tensor/tensor.h"

namespace onnxrun {

// Stands for an element of some type of U's size; may alias it.
template <typename U>
struct [[gnu::may_alias]] Word {
  U bits;
};
struct Bits128 {
  uint64_t low, high;
};
template <typename T>
constexpr bool is_word = false;
template <typename U>
constexpr bool is_word<Word<U>> = true;

// Calls f.operator()<T>() with a type to move elements of `dtype` by: a Word, or std::string.
// Packed types have none.
template <typename F>
void dispatch_storage(DType dtype, F&& f) {
  if (dtype == DType::String) return f.template operator()<std::string>();
  switch (bits_of(dtype)) {
    case 8:
      return f.template operator()<Word<uint8_t>>();
    case 16:
      return f.template operator()<Word<uint16_t>>();
    case 32:
      return f.template operator()<Word<uint32_t>>();
    case 64:
      return f.template operator()<Word<uint64_t>>();
    case 128:
      return f.template operator()<Word<Bits128>>();
    default:
      fail(ErrorKind::Internal, "{} has no storage type", to_string(dtype));
  }
}

// The elements of a tensor as storage type T.
template <typename T>
const T* storage(const Tensor& t) {
  return reinterpret_cast<const T*>(t.raw());
}
template <typename T>
T* storage(Tensor& t) {
  return reinterpret_cast<T*>(t.raw());
}

// Packed elements, one in the low bits of each byte (uint8), and back.
Tensor unpack_elements(const Tensor& packed);
void pack_elements(const Tensor& bytes, Tensor& packed);

// Calls f(from's elements, to's elements) as pointers to a storage type; packed types as bytes.
template <typename F>
void move_elements(const Tensor& from, Tensor& to, const F& f) {
  if (is_packed(from.dtype())) {
    Tensor in = unpack_elements(from), out(DType::UInt8, to.dims());
    f(storage<Word<uint8_t>>(in), storage<Word<uint8_t>>(out));
    pack_elements(out, to);
    return;
  }
  dispatch_storage(from.dtype(), [&]<typename T>() { f(storage<T>(from), storage<T>(to)); });
}

// Strides of a dense row-major tensor, in elements.
std::vector<int64_t> dense_strides(std::span<const int64_t> dims);

// Copies an n-dimensional block between two places whose axes have any strides: what transposition,
// slicing, repetition, concatenation and padding are made of.
class StridedCopy {
 public:
  StridedCopy() = default;
  // All three have one entry an axis. Elements that are read may be read several times (stride 0);
  // none may be written twice.
  StridedCopy(std::span<const int64_t> dims, std::span<const int64_t> in_strides,
              std::span<const int64_t> out_strides);

  int64_t size() const { return rows_ * row_.length; }

  // `in` and `out` point at the block's first element.
  template <typename T>
  void run(const T* in, T* out) const;

 private:
  struct Axis {
    int64_t length = 1, in = 0, out = 0;
  };

  template <typename T>
  void copy_row(const T* in, T* out, int64_t begin, int64_t end) const;
  template <typename T>
  void copy_rows(const T* in, T* out, int64_t begin, int64_t end) const;
  template <typename T>
  void copy_tiles(const T* in, T* out, int64_t rows) const;

  static constexpr int64_t tile = 16;
  static constexpr int64_t grain = 32768;

  Axis row_, middle_;        // the innermost axis, and the one around it
  std::vector<Axis> outer_;  // those around both, innermost first
  int64_t rows_ = 1;         // all but row_
  bool transposes_ = false;  // middle_ is the axis that is dense in the input
};

template <typename T>
[[gnu::always_inline]] inline void StridedCopy::copy_row(const T* in, T* out, int64_t begin,
                                                         int64_t end) const {
  const int64_t n = end - begin, step = row_.in, out_step = row_.out;
  in += begin * step;
  out += begin * out_step;
  if (out_step == 1 && step == 1) {
    std::copy_n(in, n, out);
  } else if (out_step == 1 && step == 0) {
    std::fill_n(out, n, *in);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i * out_step] = in[i * step];
  }
}

template <typename T>
void StridedCopy::copy_tiles(const T* in, T* out, int64_t rows) const {
  if constexpr (is_word<T> && (sizeof(T) == 4 || sizeof(T) == 8)) {
    if (row_.out == 1) {
      return transpose(reinterpret_cast<const std::byte*>(in), row_.in, row_.length, rows,
                       sizeof(T), reinterpret_cast<std::byte*>(out), middle_.out);
    }
  }
  for (int64_t m0 = 0; m0 < rows; m0 += tile) {
    const int64_t m1 = std::min(m0 + tile, rows);
    for (int64_t j0 = 0; j0 < row_.length; j0 += tile) {
      const int64_t j1 = std::min(j0 + tile, row_.length);
      for (int64_t m = m0; m < m1; ++m) {
        const T* from = in + m;
        T* to = out + m * middle_.out;
        for (int64_t j = j0; j < j1; ++j) to[j * row_.out] = from[j * row_.in];
      }
    }
  }
}

template <typename T>
void StridedCopy::copy_rows(const T* in, T* out, int64_t begin, int64_t end) const {
  for (int64_t r = begin; r < end;) {
    int64_t rest = r / middle_.length, first = r % middle_.length;
    const int64_t count = std::min(middle_.length - first, end - r);
    const T* from = in + first * middle_.in;
    T* to = out + first * middle_.out;
    for (const Axis& axis : outer_) {
      from += rest % axis.length * axis.in;
      to += rest % axis.length * axis.out;
      rest /= axis.length;
    }
    if (transposes_) {
      copy_tiles(from, to, count);
    } else {
      for (int64_t m = 0; m < count; ++m) {
        copy_row(from + m * middle_.in, to + m * middle_.out, 0, row_.length);
      }
    }
    r += count;
  }
}

template <typename T>
void StridedCopy::run(const T* in, T* out) const {
  const int64_t n = size();
  if (n == 0) return;
  if (n <= grain) return copy_rows(in, out, 0, rows_);
  if (rows_ == 1) {
    parallel_for(row_.length, grain,
                 [&](int64_t begin, int64_t end) { copy_row(in, out, begin, end); });
    return;
  }
  int64_t rows = std::max<int64_t>(1, grain / row_.length);
  if (transposes_) rows = (rows + tile - 1) / tile * tile;
  parallel_for(rows_, rows, [&](int64_t begin, int64_t end) { copy_rows(in, out, begin, end); });
}

}  // namespace onnxrun
