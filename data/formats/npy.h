// NumPy's .npy format, versions 1 to 3 (numpy.lib.format).
#pragma once

#include <optional>
#include <string>

#include "formats/array_place.h"
#include "tensor/byte_source.h"

namespace onnxrun {

// One array. All numeric and bool types in either byte order and either axis order; 'U' and 'S'
// strings become String without their trailing zeros, 'U' as UTF-8. ml_dtypes' types are read by
// name ('bfloat16', 'float8_e4m3fn', ...); an unnamed two-byte 'V2', as numpy.save writes it for
// bfloat16, is BFloat16. The stream must end with the array. Throws BadInput on anything else
// (objects, records, dates, long doubles), Limit if it is too large.
Tensor read_npy(ByteStream& stream, MemoryBudget& budget);

// What the header says, the stream being left at the first element; nothing for strings and for
// Fortran's order. Throws as read_npy().
std::optional<ArrayPlace> npy_place(ByteStream& stream);

// The bytes of a .npy file in two parts: numpy.load reads head + body.
struct NpyParts {
  std::string head;
  Tensor body;  // its bytes in order
};

// Strings are written as 'U' (as 'S' if one is no valid UTF-8) and lose trailing zero characters;
// BFloat16 as 'V2' for numpy's sake, the 8-bit floats by the name ml_dtypes gives them; 4- and
// 2-bit integers as 8-bit ones. Throws CannotWrite for types that numpy has no place for.
NpyParts to_npy(const Tensor& t);

}  // namespace onnxrun
