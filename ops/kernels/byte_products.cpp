#include "kernels/byte_products.h"

#include <algorithm>

#include "base/threads.h"
#include "kernels/scratch.h"
#include "kernels/wrapping.h"

namespace onnxrun {

namespace {

// A piece of work for one thread, and the multiplications below which threads do not pay.
constexpr int64_t piece_rows = 64, piece_columns = 128;
constexpr int64_t parallel_work = int64_t{1} << 21;
constexpr int64_t packed_rows = 16;

template <typename F>
void split(int64_t n, int64_t grain, int64_t work, const F& f) {
  if (work < parallel_work) {
    f(0, n);
  } else {
    parallel_for(n, grain, f);
  }
}

struct Product {
  const RightMatrix& b;
  const int32_t* left;
  const int32_t* left_sums;
  const ZeroPoints& zero_a;
  const ZeroPoints& zero_b;
  const TakeSums& take;

  // Sums of (a - za) (b - zb) from those of a b.
  void finish_row(int64_t row, int64_t column, int64_t columns, const int32_t* sums) const {
    const int32_t zero = zero_a.at(row);
    const int32_t rest =
        wrapping_minus(left_sums[row], wrapping_times(static_cast<int32_t>(b.k), zero));
    SumCorrection c;
    c.others = zero_b.list(column);
    c.other_factor = wrapping_minus(0, rest);
    if (!c.others) c.add = wrapping_minus(0, wrapping_times(rest, zero_b.at(0)));
    if (zero != 0) {
      c.columns = b.sums + column;
      c.column_factor = wrapping_minus(0, zero);
    }
    take(row, column, columns, sums, c);
  }

  void multiply_piece(int64_t row, int64_t rows, int64_t panel, int64_t panels) const {
    const int64_t width = panel_columns(), ld = panels * width;
    Scratch scratch(static_cast<size_t>(rows * ld) * sizeof(int32_t));
    auto* sums = scratch.as<int32_t>();
    multiply_words(b.dots, left + row * b.words(), rows, b.panels + panel * b.panel_size(), panels,
                   b.words(), sums, ld);
    const int64_t column = panel * width, columns = std::min(ld, b.n - column);
    for (int64_t i = 0; i < rows; ++i) finish_row(row + i, column, columns, sums + i * ld);
  }
};

}  // namespace

ZeroPoints::ZeroPoints(const uint8_t* points, int64_t count, bool is_signed, int32_t shift) {
  if (!points) count = 1;
  for (int64_t i = 0; i < count; ++i) {
    const int32_t v = !points ? 0 : is_signed ? static_cast<int8_t>(points[i]) : points[i];
    values_.push_back(v + shift);
  }
}

int64_t right_matrix_words(Dots dots, int64_t k, int64_t n) {
  return panels_of(n) * panel_columns() * (words_of(dots, k) + 1);
}

RightMatrix pack_right_matrix(Dots dots, const Bytes& b, int64_t row_step, int64_t k, int64_t n,
                              int32_t* memory) {
  const int64_t width = panel_columns(), panels = panels_of(n), words = words_of(dots, k);
  int32_t* sums = memory + panels * width * words;
  std::vector<const uint8_t*> rows(static_cast<size_t>(k));
  for (int64_t p = 0; p < k; ++p) rows[static_cast<size_t>(p)] = b.data + p * row_step;
  split(panels, piece_columns / width + 1, k * n * packed_rows, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      pack_right(dots, rows.data(), p * width, b.is_signed, k, std::min(width, n - p * width),
                 memory + p * width * words);
    }
    sum_columns(dots, memory + begin * width * words, end - begin, words, sums + begin * width);
  });
  return {dots, k, n, b.is_signed, memory, sums};
}

void multiply_bytes(const Bytes& a, int64_t m, const ZeroPoints& zero_a, const RightMatrix& b,
                    const ZeroPoints& zero_b, const TakeSums& take) {
  if (m <= 0 || b.n <= 0) return;
  const int64_t words = b.words(), work = m * b.n * b.k;
  Scratch scratch(static_cast<size_t>(m * (words + 1)) * sizeof(int32_t));
  auto *left = scratch.as<int32_t>(), *left_sums = left + m * words;
  split(m, piece_rows, work, [&](int64_t begin, int64_t end) {
    pack_left(b.dots, {a.data + begin * b.k, a.is_signed}, b.k, end - begin, b.k,
              left + begin * words, left_sums + begin);
  });
  const Product product{b, left, left_sums, zero_a, zero_b, take};
  const int64_t panels = panels_of(b.n),
                together = std::max<int64_t>(2, piece_columns / panel_columns());
  const int64_t row_pieces = (m + piece_rows - 1) / piece_rows;
  const int64_t column_pieces = (panels + together - 1) / together;
  split(row_pieces * column_pieces, 1, work, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t row = piece % row_pieces * piece_rows;
      const int64_t panel = piece / row_pieces * together;
      product.multiply_piece(row, std::min(piece_rows, m - row), panel,
                             std::min(together, panels - panel));
    }
  });
}

}  // namespace onnxrun
