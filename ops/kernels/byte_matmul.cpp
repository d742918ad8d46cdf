#include "kernels/byte_matmul.h"

#include "base/threads.h"
#include "kernels/scratch.h"

namespace onnxrun {

namespace {

// Multiplications that are worth a piece of a parallel loop.
constexpr int64_t byte_product_grain = 1 << 19;

bool is_list(const Tensor& list, size_t from_back) {
  const Dims& dims = list.dims();
  if (list.size() == 1 || dims.size() == 1) return true;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i + from_back != dims.size() && dims[i] != 1) return false;
  }
  return true;
}

Bytes from(const Bytes& bytes, int64_t at) { return {bytes.data + at, bytes.is_signed}; }

}  // namespace

Bytes bytes_of(const Tensor& t) {
  return {reinterpret_cast<const uint8_t*>(t.raw()), t.dtype() == DType::Int8};
}

bool is_one_or_rows(const Tensor& list) { return is_list(list, 2); }
bool is_one_or_columns(const Tensor& list) { return is_list(list, 1); }

ZeroPoints zero_points(const Tensor* points, int32_t shift) {
  if (!points) return ZeroPoints(nullptr, 1, false, shift);
  return ZeroPoints(bytes_of(*points).data, points->size(), points->dtype() == DType::Int8, shift);
}

bool ByteMatMul::is_worth_it(const Dims& right) {
  constexpr int64_t most_terms = int64_t{1} << 22;
  const int64_t k = right.size() > 1 ? right[right.size() - 2] : right[0];
  const int64_t n = right.size() > 1 ? right.back() : 1;
  return k <= most_terms || n >= panel_columns();
}

ByteMatMul::ByteMatMul(const Dims& a, const Dims& b, Tensor packed)
    : dots_(fastest_dots()), packed_(std::move(packed)) {
  Dims left = a, right = b;
  if (left.size() == 1) left.insert(left.begin(), 1);
  if (right.size() == 1) right.push_back(1);
  m_ = left[left.size() - 2];
  k_ = left.back();
  n_ = right.back();
  batches_ = MatrixBatches(left, right);
  // All matrices of `a` lie one below the other: one product with the one matrix of `b`.
  if (element_count(b) == k_ * n_ && k_ * n_ > 0) {
    m_ *= batches_.count();
    batches_ = {};
  }
}

static Tensor packed_if_constant(const PrepareContext& c, size_t b) {
  const Tensor* constant = c.constant(b);
  if (!constant) return {};
  return c.packed(b, "byte columns", [&] { return ByteMatMul::packed(*constant); });
}

ByteMatMul::ByteMatMul(const PrepareContext& c, size_t a, size_t b)
    : ByteMatMul(c.input(a).dims(), c.input(b).dims(), packed_if_constant(c, b)) {}

Tensor ByteMatMul::packed(const Tensor& b) {
  const Dots dots = fastest_dots();
  Dims dims = b.dims();
  if (dims.size() == 1) dims.push_back(1);
  const int64_t n = dims.back(), k = dims[dims.size() - 2];
  const int64_t matrices = element_count(Dims(dims.begin(), dims.end() - 2));
  const int64_t size = right_matrix_words(dots, k, n);
  Tensor all(DType::Int32, {matrices * size});
  for (int64_t i = 0; i < matrices; ++i) {
    pack_right_matrix(dots, from(bytes_of(b), i * k * n), n, k, n, all.data<int32_t>() + i * size);
  }
  return all;
}

std::string_view ByteMatMul::kernel() const {
  return dots_ == Dots::Quads ? "8-bit dot products" : "16-bit dot products";
}

RightMatrix ByteMatMul::right(const Tensor& b, int64_t index, int32_t* memory) const {
  const Bytes bytes = from(bytes_of(b), index * k_ * n_);
  if (!packed_.defined()) return pack_right_matrix(dots_, bytes, n_, k_, n_, memory);
  const int64_t size = right_matrix_words(dots_, k_, n_);
  const int32_t* packed = packed_.data<int32_t>() + index * size;
  return {dots_, k_, n_, bytes.is_signed, packed, packed + size - panels_of(n_) * panel_columns()};
}

void ByteMatMul::run(const Tensor& a, const Tensor* zero_a, const Tensor& b, const Tensor* zero_b,
                     const TakeSums& take) const {
  run(bytes_of(a), zero_points(zero_a, signed_shift(a.dtype() == DType::Int8)), b, zero_b, take);
}

void ByteMatMul::run(const Bytes& a, const ZeroPoints& za, const Tensor& b, const Tensor* zero_b,
                     const TakeSums& take) const {
  const ZeroPoints zb = zero_points(zero_b, unsigned_shift(b.dtype() == DType::Int8));
  const int64_t grain =
      std::max<int64_t>(1, byte_product_grain / std::max<int64_t>(1, m_ * n_ * k_));
  const auto products = [&](int64_t begin, int64_t end) {
    Scratch scratch(packed_.defined()
                        ? 0
                        : static_cast<size_t>(right_matrix_words(dots_, k_, n_)) * sizeof(int32_t));
    for (int64_t i = begin; i < end; ++i) {
      const auto [left_at, right_at] = batches_.at(i);
      const RightMatrix matrix = right(b, right_at, scratch.as<int32_t>());
      const int64_t first = i * m_;
      const TakeSums take_here = [&](int64_t row, int64_t column, int64_t columns,
                                     const int32_t* sums, const SumCorrection& c) {
        take(first + row, column, columns, sums, c);
      };
      multiply_bytes(from(a, left_at * m_ * k_), m_, za, matrix, zb,
                     batches_.count() == 1 ? take : take_here);
    }
  };
  if (batches_.count() <= grain) return products(0, batches_.count());
  parallel_for(batches_.count(), grain, products);
}

}  // namespace onnxrun
