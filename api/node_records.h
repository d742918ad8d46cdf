// Observers of executions as the public interface has them.
#pragma once

#include <functional>

#include "bound_plan.h"
#include "onnxrun/session.h"

namespace onnxrun {

// Calls `observer` with a record of each node. `plan` gives the plan that runs.
Execution::Observer record_nodes(std::function<void(const Session::NodeRecord&)> observer,
                                 std::function<const BoundPlan*()> plan);

}  // namespace onnxrun
