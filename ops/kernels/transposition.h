// Matrices of words of four bytes, their axes exchanged by vectors.
#pragma once

#include <cstdint>

namespace onnxrun {

// to[m * to_step + j] = from[j * from_step + m] for m < rows and j < columns.
void transpose_words(const void* from, int64_t from_step, void* to, int64_t to_step, int64_t rows,
                     int64_t columns);

}  // namespace onnxrun
