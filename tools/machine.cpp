#include "machine.h"

#include <dlfcn.h>
#include <langinfo.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/processors.h"

namespace onnxrun::tool {

std::vector<std::string> cpu_features() {
  std::vector<std::string> features;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2")) features.emplace_back("sse4.2");
  if (__builtin_cpu_supports("avx")) features.emplace_back("avx");
  if (__builtin_cpu_supports("fma")) features.emplace_back("fma");
  if (__builtin_cpu_supports("avx2")) features.emplace_back("avx2");
  if (__builtin_cpu_supports("avx512f")) features.emplace_back("avx512f");
  if (__builtin_cpu_supports("avx512bw")) features.emplace_back("avx512bw");
#elif defined(__aarch64__)
  features.emplace_back("neon");
#endif
  return features;
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name") && !line.starts_with("Hardware")) continue;
    size_t colon = line.find(": ");
    return colon == std::string::npos ? "" : line.substr(colon + 2);
  }
  return "";
}

MachineMemory machine_memory() {
  MachineMemory memory;
  memory.total = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  std::ifstream info("/proc/meminfo");
  for (std::string word; info >> word;) {
    int64_t kilobytes = 0;
    if (word == "MemAvailable:" && info >> kilobytes) memory.available = kilobytes * 1024;
  }
  memory.group = cgroup_memory();
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    memory.address_space = static_cast<int64_t>(limit.rlim_cur);
  }
  return memory;
}

TemporaryFolder temporary_folder() {
  const char* given = std::getenv("TMPDIR");
  TemporaryFolder folder{given && *given ? given : "/tmp", "", 0};
  std::string path = folder.path + "/onnxrun-XXXXXX";
  int file = mkstemp(path.data());
  if (file < 0) {
    folder.error = std::strerror(errno);
    return folder;
  }
  unlink(path.c_str());
  if (write(file, "x", 1) != 1) folder.error = std::strerror(errno);
  close(file);
  struct statvfs space {};
  if (statvfs(folder.path.c_str(), &space) == 0) {
    folder.free_bytes = static_cast<int64_t>(space.f_bavail) * static_cast<int64_t>(space.f_frsize);
  }
  return folder;
}

std::string locale_encoding() {
  locale_t locale = newlocale(LC_CTYPE_MASK, "", nullptr);
  if (!locale) return "";
  std::string encoding = nl_langinfo_l(CODESET, locale);
  freelocale(locale);
  return encoding;
}

double load_average() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : -1;
}

bool has_library(const char* name) {
  // Never closed: libraries such as glib keep memory to the end of the process.
  return dlopen(name, RTLD_LAZY | RTLD_LOCAL) != nullptr;
}

}  // namespace onnxrun::tool
