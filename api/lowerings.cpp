#include "lowerings.h"

#include <fmt/format.h>

namespace onnxrun {

// Names come after their lengths, so that no two lists of names have one key.
static std::string key_of(const SessionOptions& options, const std::vector<std::string>& fed) {
  std::string key = fmt::format("{} {}", options.optimize, options.max_memory);
  for (const auto* names : {&options.outputs, &fed}) {
    key += fmt::format(" {}:", names->size());
    for (const std::string& name : *names) key += fmt::format(" {} {}", name.size(), name);
  }
  return key;
}

std::shared_ptr<const MachineGraph> Lowerings::get(const SessionOptions& options,
                                                   const std::vector<std::string>& fed,
                                                   const std::function<Graph()>& make) {
  std::lock_guard lock(mutex_);
  std::weak_ptr<const MachineGraph>& kept = kept_[key_of(options, fed)];
  std::shared_ptr<const MachineGraph> machine = kept.lock();
  if (!machine) {
    machine = lower(make(), {.optimize = options.optimize, .max_memory = options.max_memory});
    kept = machine;
    std::erase_if(kept_, [](const auto& entry) { return entry.second.expired(); });
  }
  return machine;
}

}  // namespace onnxrun
