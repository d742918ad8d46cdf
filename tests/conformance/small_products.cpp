// With this file the command gives OpenBLAS every product, where it is chosen: those of the node
// tests and of the corpus are too small otherwise.
#include "kernels/openblas.h"

static const onnxrun::OpenBlasFrom from_one(1);
