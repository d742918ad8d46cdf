// Products of matrices of bytes, exact in 32 bits: what is below the products and convolutions of
// quantized numbers.
//
//     C = A * B,    A: m x k of signed bytes, B: k x n of unsigned bytes, C: m x n of int32
//
// Bytes of the other sign are moved by 128; whoever corrects the sums for zero points moves those
// as well (byte_sums.h). Several terms of a sum are one 32-bit word: A is laid out as rows of
// words, B as panels of columns of words. Sums wrap around, so their order does not matter and
// results are the same on every processor. Safe to call from many threads; nothing here uses more
// than one.
#pragma once

#include <cstdint>

namespace onnxrun {

// How many terms a word holds: two of 16 bits, or four of 8 where the processor has dot products
// of them.
enum class Dots : uint8_t { Pairs = 2, Quads = 4 };
bool has_dots(Dots dots);
Dots fastest_dots();

inline int64_t words_of(Dots dots, int64_t k) {
  return (k + static_cast<int64_t>(dots) - 1) / static_cast<int64_t>(dots);
}

// Columns of a panel of B. A panel of k terms has words_of(dots, k) * panel_columns() words.
int64_t panel_columns();
inline int64_t panels_of(int64_t n) { return (n + panel_columns() - 1) / panel_columns(); }

// Bytes as a tensor holds them.
struct Bytes {
  const uint8_t* data;
  bool is_signed;
};
// What is added, modulo 256, to make numbers signed or unsigned ones.
inline int32_t signed_shift(bool is_signed) { return is_signed ? 0 : -128; }
inline int32_t unsigned_shift(bool is_signed) { return is_signed ? 128 : 0; }

// `m` rows of A, `row_step` apart, to words_of(dots, k) words each; `sums`, unless null, are those
// of the rows, of signed bytes.
void pack_left(Dots dots, const Bytes& a, int64_t row_step, int64_t m, int64_t k, int32_t* words,
               int32_t* sums);
// A panel of B whose row p is the `columns` <= panel_columns() bytes from rows[p] + offset on.
void pack_right(Dots dots, const uint8_t* const* rows, int64_t offset, bool is_signed, int64_t k,
                int64_t columns, int32_t* panel);
// C, whose rows are ldc >= panels * panel_columns() apart, of `words` words a row and column.
// Rows of A are `words` apart.
void multiply_words(Dots dots, const int32_t* a, int64_t m, const int32_t* b, int64_t panels,
                    int64_t words, int32_t* c, int64_t ldc);
// The words of `columns` columns of as many rows, of unsigned bytes, as they have terms; rows are
// read and words are written in whole pieces of 64.
void interleave_bytes(Dots dots, const uint8_t* const* rows, int64_t columns, int32_t* words);
// As multiply_words(), but word p of column j of B is b[at[p] + j].
void multiply_planes(Dots dots, const int32_t* a, int64_t m, const int32_t* b, const int64_t* at,
                     int64_t panels, int64_t words, int32_t* c, int64_t ldc);
// The sums of the columns of panels, of unsigned bytes.
void sum_columns(Dots dots, const int32_t* b, int64_t panels, int64_t words, int32_t* sums);

}  // namespace onnxrun
