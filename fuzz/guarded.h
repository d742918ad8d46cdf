// What the fuzz targets share.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include "onnxrun/onnxrun.h"

namespace onnxrun::fuzz {

inline constexpr int64_t most_memory = int64_t{64} << 20;

inline LoadOptions load_options() {
  LoadOptions options;
  options.max_memory = most_memory;
  options.timeout_seconds = 2.0;
  return options;
}

// An error that says what is wrong is fine; one of our own, or one of more than a line, is a
// finding.
template <typename F>
void guarded(const F& f) {
  try {
    f();
  } catch (const Error& e) {
    const std::string text = e.what();
    if (e.kind() != ErrorKind::Internal && text.find('\n') == std::string::npos) return;
    std::fprintf(stderr, "%s\n", text.c_str());
    std::abort();
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "memory that no limit held back\n");
    std::abort();
  }
}

}  // namespace onnxrun::fuzz
