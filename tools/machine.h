// The machine this process runs on, as far as it lets itself be seen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace onnxrun::tool {

// Instruction sets that matter to kernels: "avx2", "fma".
std::vector<std::string> cpu_features();
// "AMD EPYC 7763 64-Core Processor"; "" if the system does not say.
std::string cpu_name();

struct MachineMemory {
  int64_t total = 0;
  int64_t available = 0;                 // 0: not known
  std::optional<int64_t> group;          // limit of the control group
  std::optional<int64_t> address_space;  // RLIMIT_AS
};
MachineMemory machine_memory();

// Where temporary files go, and whether one could be written there.
struct TemporaryFolder {
  std::string path;
  std::string error;  // "" if it works
  int64_t free_bytes = 0;
};
TemporaryFolder temporary_folder();

// The character encoding that the environment asks for: "UTF-8", "ANSI_X3.4-1968".
std::string locale_encoding();

// Processes that want to run, on average over the last minute; negative if not known.
double load_average();

// Whether a shared library that is loaded only when needed is there.
bool has_library(const char* name);

}  // namespace onnxrun::tool
