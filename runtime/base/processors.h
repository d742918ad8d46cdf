// What the system lets this process use of the machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace onnxrun {

// Processors of the affinity mask; 1 if it cannot be read.
int affinity_processors();

// The process is bound by its control group (v2 or v1) and by all groups around it; what counts is
// the lowest limit that one of them sets. Files are looked for below `root`, "" but for tests.

// Processors' worth of time that may be used; 0 if there is no quota.
double cgroup_quota(const std::string& root = "");
// Bytes of memory that may be used; none if no group sets a limit.
std::optional<int64_t> cgroup_memory(const std::string& root = "");

// Bytes of memory that there are for this process: the machine's, or those of its control groups.
int64_t usable_memory();

}  // namespace onnxrun
