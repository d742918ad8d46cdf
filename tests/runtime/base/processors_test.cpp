// Limits of control groups, in trees of files as the kernel shows them.
#include "base/processors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "support/model_maker.h"

namespace onnxrun {
namespace {

struct Tree {
  const char* name;
  std::map<std::string, std::string> files;
  double quota;
  int64_t memory;  // 0: no limit
};

const std::string v2_mount = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";
const std::string v1_mounts =
    "31 23 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

TEST(Processors, AreLimitedByAllGroupsAround) {
  const Tree rows[] = {
      {"nothing there", {}, 0, 0},
      {"v2, the group's own",
       {{"proc/self/cgroup", "0::/user/job\n"},
        {"proc/self/mountinfo", v2_mount},
        {"sys/fs/cgroup/user/job/cpu.max", "150000 100000\n"},
        {"sys/fs/cgroup/user/job/memory.max", "1000000\n"}},
       1.5,
       1000000},
      {"v2, one around it",
       {{"proc/self/cgroup", "0::/user/job\n"},
        {"proc/self/mountinfo", v2_mount},
        {"sys/fs/cgroup/user/job/cpu.max", "max 100000\n"},
        {"sys/fs/cgroup/user/job/memory.max", "max\n"},
        {"sys/fs/cgroup/user/cpu.max", "300000 100000\n"},
        {"sys/fs/cgroup/user/memory.max", "2000000\n"}},
       3,
       2000000},
      {"v2 in a container, whose root is its group",
       {{"proc/self/cgroup", "0::/\n"},
        {"proc/self/mountinfo", v2_mount},
        {"sys/fs/cgroup/cpu.max", "50000 100000\n"},
        {"sys/fs/cgroup/memory.max", "3000000\n"}},
       0.5,
       3000000},
      {"v1",
       {{"proc/self/cgroup", "5:memory:/job\n4:cpu,cpuacct:/job/part\n0::/\n"},
        {"proc/self/mountinfo", v1_mounts},
        {"sys/fs/cgroup/cpu,cpuacct/job/part/cpu.cfs_quota_us", "-1\n"},
        {"sys/fs/cgroup/cpu,cpuacct/job/part/cpu.cfs_period_us", "100000\n"},
        {"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "200000\n"},
        {"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n"},
        {"sys/fs/cgroup/memory/job/memory.limit_in_bytes", "4000000\n"},
        {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
       2,
       4000000},
      {"v1 without limits",
       {{"proc/self/cgroup", "5:memory:/\n4:cpu:/\n"},
        {"proc/self/mountinfo", v1_mounts},
        {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
       0,
       0},
      {"v1 in a container that sees the outer path and the inner files",
       {{"proc/self/cgroup", "5:memory:/docker/1f/inner\n"},
        {"proc/self/mountinfo",
         "33 31 0:29 /docker/1f /sys/fs/cgroup/memory rw - cgroup c rw,memory\n"},
        {"sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "5000000\n"},
        {"sys/fs/cgroup/memory/memory.limit_in_bytes", "6000000\n"}},
       0,
       5000000},
      {"lines that are none",
       {{"proc/self/cgroup", "\n:\n0:\n0::\n0::x\n"}, {"proc/self/mountinfo", "- \n - \n"}},
       0,
       0},
  };
  for (const Tree& row : rows) {
    TempDir dir;
    for (const auto& [name, text] : row.files) {
      std::filesystem::create_directories(std::filesystem::path(dir.path(name)).parent_path());
      std::ofstream(dir.path(name)) << text;
    }
    EXPECT_EQ(cgroup_quota(dir.path()), row.quota) << row.name;
    EXPECT_EQ(cgroup_memory(dir.path()).value_or(0), row.memory) << row.name;
  }
}

TEST(Processors, ThereIsOneAtLeast) {
  EXPECT_GE(affinity_processors(), 1);
  EXPECT_GT(usable_memory(), 1 << 20);
}

}  // namespace
}  // namespace onnxrun
