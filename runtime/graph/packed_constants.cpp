#include "graph/packed_constants.h"

namespace onnxrun {

Tensor PackedConstants::get(const Tensor& constant, const std::string& layout,
                            const std::function<Tensor()>& make) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<Entry>& known = entries_[{constant.raw(), layout}];
  std::shared_ptr<Entry> entry = known.lock();
  if (!entry) {
    entry = std::make_shared<Entry>(Entry{constant, make()});
    known = entry;
    std::erase_if(entries_, [](const auto& e) { return e.second.expired(); });
  }
  return Tensor::wrap(entry->packed.raw(), entry->packed.dtype(), entry->packed.dims(), entry);
}

}  // namespace onnxrun
