#include "base/processors.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

namespace onnxrun {

int affinity_processors() {
  // The kernel's mask may be longer than cpu_set_t.
  for (int processors = CPU_SETSIZE; processors <= 1 << 20; processors *= 2) {
    std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(processors),
                                                         [](cpu_set_t* s) { CPU_FREE(s); });
    size_t size = CPU_ALLOC_SIZE(processors);
    if (set && sched_getaffinity(0, size, set.get()) == 0) {
      return std::max(CPU_COUNT_S(size, set.get()), 1);
    }
  }
  return 1;
}

namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> pieces;
  std::istringstream stream(text);
  for (std::string piece; std::getline(stream, piece, separator);) pieces.push_back(piece);
  return pieces;
}

bool has(const std::string& list, const std::string& word) {
  std::vector<std::string> words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The process's path in the hierarchy of a v1 controller, or of v2 for ""; none if it is in none.
std::optional<std::string> group_path(const std::string& root, const std::string& controller) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "4:cpu,cpuacct:/docker/1f"
    size_t first = line.find(':');
    size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : has(controllers, controller)) {
      return line.substr(second + 1);
    }
  }
  return std::nullopt;
}

struct Mount {
  std::string root, point;  // the part of the hierarchy that is seen, and where
};

std::optional<Mount> group_mount(const std::string& root, const std::string& controller) {
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // "32 31 0:29 /docker/1f /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu"
    size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::vector<std::string> front = split(line.substr(0, dash), ' ');
    std::vector<std::string> back = split(line.substr(dash + 3), ' ');
    if (front.size() < 5 || back.empty()) continue;
    bool found = controller.empty() ? back[0] == "cgroup2"
                                    : back[0] == "cgroup" && has(back.back(), controller);
    if (found) return Mount{front[3], front[4]};
  }
  return std::nullopt;
}

// Folders of the process's group and of those around it, as far as they are seen.
std::vector<std::string> group_folders(const std::string& root, const std::string& controller) {
  auto path = group_path(root, controller);
  auto mount = group_mount(root, controller);
  if (!path || !path->starts_with('/') || !mount) return {};
  // Inside a container the path may be the one outside, of which only the end is seen.
  if (mount->root != "/" && path->starts_with(mount->root + '/')) {
    path->erase(0, mount->root.size());
  } else if (*path == mount->root) {
    path = "/";
  }
  std::vector<std::string> folders;
  for (std::string at = *path; at.size() > 1; at.resize(at.rfind('/'))) {
    folders.push_back(root + mount->point + at);
  }
  folders.push_back(root + mount->point);
  return folders;
}

}  // namespace

double cgroup_quota(const std::string& root) {
  double lowest = 0;
  auto take = [&](double quota, double period) {
    if (quota <= 0 || period <= 0) return;
    lowest = lowest > 0 ? std::min(lowest, quota / period) : quota / period;
  };
  for (const std::string& folder : group_folders(root, "")) {
    std::ifstream file(folder + "/cpu.max");  // "max 100000" or "200000 100000"
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max") take(std::atof(quota.c_str()), period);
  }
  for (const std::string& folder : group_folders(root, "cpu")) {
    std::ifstream quota(folder + "/cpu.cfs_quota_us"), period(folder + "/cpu.cfs_period_us");
    double of = 0, us = 0;
    if (quota >> us && period >> of) take(us, of);
  }
  return lowest;
}

std::optional<int64_t> cgroup_memory(const std::string& root) {
  // v1 says by a number next to 2^63 that there is no limit.
  int64_t none = INT64_MAX / 2, lowest = none;
  auto read = [&](const std::string& controller, const char* name) {
    for (const std::string& folder : group_folders(root, controller)) {
      int64_t bytes = 0;
      if (std::ifstream(folder + name) >> bytes && bytes > 0) lowest = std::min(lowest, bytes);
    }
  };
  read("", "/memory.max");
  read("memory", "/memory.limit_in_bytes");
  return lowest < none ? std::optional(lowest) : std::nullopt;
}

int64_t usable_memory() {
  static const int64_t bytes = [] {
    int64_t machine = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
    return std::min(machine, cgroup_memory().value_or(machine));
  }();
  return bytes;
}

}  // namespace onnxrun
