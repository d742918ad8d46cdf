// What the system lets this process use of its processors.
#pragma once

namespace onnxrun {

// Those of the affinity mask; 1 if it cannot be read.
int affinity_processors();

// Processors' worth of time that the control group (v2, else v1) may use; 0 if there is no quota.
double cgroup_quota();

}  // namespace onnxrun
