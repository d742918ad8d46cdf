#include "onnxrun/value.h"

#include "base/error.h"
#include "tensor/sole_owner.h"

namespace onnxrun {

void RuntimeValue::fail_elements() {
  fail(ErrorKind::Internal, "a value that is no sequence, optional or map is read as one");
}

RuntimeValue::Items RuntimeValue::take_elements() {
  const Items& there = elements();
  // Made as a vector that may change, and nobody else looks at it.
  Items taken = is_sole_owner(items) ? std::move(const_cast<Items&>(there)) : there;  // NOLINT
  *this = RuntimeValue();
  return taken;
}

std::string describe(const RuntimeValue& value) {
  switch (value.kind) {
    case RuntimeValue::Kind::None:
      return "nothing";
    case RuntimeValue::Kind::Tensor:
      return value.tensor.type_text();
    case RuntimeValue::Kind::Sequence:
      return fmt::format("a sequence of {}", value.elements().size());
    case RuntimeValue::Kind::Optional:
      return value.elements().empty() ? "an optional without an element"
                                      : "an optional of " + describe(value.elements()[0]);
    case RuntimeValue::Kind::Map:
      return fmt::format("a map of {}", value.elements().size());
  }
  return "";
}

}  // namespace onnxrun
