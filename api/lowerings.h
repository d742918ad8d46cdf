// The machine graphs of one model, shared by its sessions.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "onnxrun/session.h"
#include "passes/lower.h"

namespace onnxrun {

// Thread-safe. A machine graph lives as long as a session uses it.
class Lowerings {
 public:
  // The lowering of `graph`, which is the part of the model that `outputs` (all if empty) need,
  // with the initializers `fed` made inputs; made by `make` unless a session has one already.
  std::shared_ptr<const MachineGraph> get(const SessionOptions& options,
                                          const std::vector<std::string>& fed,
                                          const std::function<Graph()>& make);

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const MachineGraph>> kept_;
};

}  // namespace onnxrun
