// Matrices transposed, vectorised for the processor the program runs on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace onnxrun {

// to[j * to_step + i] = from[i * from_step + j] for i < rows, j < columns, of elements of `width`
// bytes, 4 or 8. The two must not overlap.
void transpose(const std::byte* from, int64_t from_step, int64_t rows, int64_t columns,
               size_t width, std::byte* to, int64_t to_step);

}  // namespace onnxrun
