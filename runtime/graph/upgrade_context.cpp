#include "graph/upgrade_context.h"

#include "base/error.h"

namespace onnxrun {

void UpgradeContext::set_input(size_t i, ValueId v) {
  if (inputs_.size() <= i) inputs_.resize(i + 1, no_value);
  inputs_[i] = v;
}

void UpgradeContext::attribute_to_input(std::string_view name, size_t i) {
  if (auto values = take<std::vector<int64_t>>(name))
    set_input(i, builder_.ints(std::move(*values)));
}

ValueId UpgradeContext::value_named(const std::string& name) const {
  ValueId v = names_ ? names_(name) : builder_.graph().find(name);
  if (v == no_value) fail(ErrorKind::BadModel, "there is no value '{}'", name);
  return v;
}

void UpgradeContext::missing_input() { fail(ErrorKind::BadModel, "a required input is missing"); }

void UpgradeContext::wrong_kind(std::string_view name) {
  fail(ErrorKind::BadModel, "attribute '{}' is of the wrong kind", name);
}

}  // namespace onnxrun
