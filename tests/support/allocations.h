// How often this program has asked for memory.
#pragma once

#include <cstdint>

namespace onnxrun {

// False under sanitizers, which bring their own operator new.
bool counts_allocations();

// Calls of operator new so far, in all threads.
int64_t allocations();
// Bytes asked for in them.
int64_t allocated_bytes();

}  // namespace onnxrun
