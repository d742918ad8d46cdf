// Decompression of deflate data (RFC 1951) and gzip files (RFC 1952).
#pragma once

#include <memory>

#include "tensor/byte_source.h"

namespace onnxrun {

enum class Compression { Deflate, Gzip };

// The inflated bytes of `compressed`. A gzip file may have several members; their checksums are
// verified. Throws BadInput on damaged data.
std::unique_ptr<ByteStream> inflate_stream(RangeStream compressed, Compression format);

}  // namespace onnxrun
