// Which kernels multiply matrices.
#pragma once

#include <cstdint>

namespace onnxrun {

enum class Products : uint8_t {
  // The library's own. An element's bits depend on its row and its column alone: not on threads,
  // nor on the rows that come with it in a batch.
  Own,
  // OpenBLAS's for matrix products (MatMul, Gemm and what is made of them) from 2^24
  // multiplications on, and for inverses and determinants (gradients included) of matrices as
  // large; the library's own for what is smaller, and always for convolutions and recurrent nets.
  // Bits do not depend on threads; those of a row depend on the batch that it comes in, and all of
  // them on OpenBLAS's version and on the processor. A run ends between pieces of a product, of
  // which each is one call, and between matrices that are inverted. OpenBLAS's working memory, some
  // megabytes for each thread, is not counted. Sessions and trainers throw Unsupported where
  // OpenBLAS is not there without threads of its own (Debian's libopenblas0-serial), or this
  // library was built without it.
  OpenBlas,
};

}  // namespace onnxrun
