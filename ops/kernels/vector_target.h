// Which vector instructions the kernels use on this processor.
#pragma once

#include <string>

namespace onnxrun {

// Highway's name of the target that kernels run: "AVX3_DL", "AVX2", "SSE2", "NEON".
std::string vector_target();
// Bytes of one of its vectors.
int vector_bytes();

}  // namespace onnxrun
