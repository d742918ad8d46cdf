#include "emit/binary_broadcast.h"

#include "base/error.h"

namespace onnxrun {

void upgrade_binary_broadcast(UpgradeContext& u) {
  u.take<std::vector<int64_t>>("consumed_inputs");
  auto axis = u.take<int64_t>("axis");
  bool broadcasts = u.take<int64_t>("broadcast").value_or(0) != 0;
  if (!axis || !broadcasts) return;
  const Type &a = u.type(u.input(0)), &b = u.type(u.input(1));
  if (!a.shape || !b.shape) {
    fail(ErrorKind::Unsupported, "attribute 'axis' needs inputs of known rank");
  }
  int64_t behind = a.rank() - normalize_axis(*axis, a.rank()) - b.rank();
  if (behind < 0) {
    fail(ErrorKind::BadModel, "axis {} leaves no room for {} in {}", *axis, b.to_string(),
         a.to_string());
  }
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < behind; ++i) axes.push_back(b.rank() + i);
  if (!axes.empty()) u.set_input(1, u.builder().unsqueeze(u.input(1), axes));
}

}  // namespace onnxrun
