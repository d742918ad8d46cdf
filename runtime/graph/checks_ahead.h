// What lets a run overwrite its state in place and still leave it as it was if a number is not
// finite.
#pragma once

#include <cstddef>
#include <optional>

namespace onnxrun {

class RunContext;

// What an operator is too, if it can tell what it would give without giving it.
class ChecksAhead {
 public:
  // The first output in which run() would leave a NaN or an infinity; nothing is written.
  virtual std::optional<size_t> first_not_finite(const RunContext& c) const = 0;

 protected:
  ~ChecksAhead() = default;
};

}  // namespace onnxrun
