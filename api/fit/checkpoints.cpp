#include <charconv>
#include <filesystem>
#include <map>

#include "array_files.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/npz.h"
#include "onnxrun/callbacks.h"

namespace onnxrun {

namespace fs = std::filesystem;

namespace {

// The step of "step-000120.npz"; nothing for other names.
std::optional<int64_t> step_of(const std::string& name) {
  if (!name.starts_with("step-") || !name.ends_with(".npz")) return std::nullopt;
  int64_t step = 0;
  const char *begin = name.data() + 5, *end = name.data() + name.size() - 4;
  auto [last, error] = std::from_chars(begin, end, step);
  return error == std::errc() && last == end && step >= 0 ? std::optional(step) : std::nullopt;
}

std::map<int64_t, std::string> files_in(const std::string& directory) {
  std::map<int64_t, std::string> files;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, none)) {
    if (auto step = step_of(entry.path().filename().string())) {
      files.emplace(*step, entry.path().string());
    }
  }
  return files;
}

}  // namespace

Checkpoints::Checkpoints(std::string directory, int64_t every, int64_t keep,
                         std::optional<int64_t> every_steps)
    : directory_(std::move(directory)), every_(every), keep_(keep), every_steps_(every_steps) {}

void Checkpoints::begin(Fit&) {
  if (every_ < 1 || keep_ < 1 || every_steps_.value_or(1) < 1) {
    fail(ErrorKind::Usage, "checkpoints are written every 1 epoch or step at least, and 1 is kept");
  }
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) fail(ErrorKind::CannotWrite, "{}: {}", directory_, error.message());
}

void Checkpoints::step_end(Fit& fit, const StepRecord& record) {
  if (every_steps_ && record.step % *every_steps_ == 0) write(fit);
}

void Checkpoints::epoch_end(Fit& fit, const EpochRecord& record) {
  if (!every_steps_ && record.epoch % every_ == 0) write(fit);
}

void Checkpoints::end(Fit& fit) { write(fit); }

void Checkpoints::aborted(Fit& fit) {
  if (fit.steps() > 0) write(fit);
}

void Checkpoints::write(const Fit& fit) {
  std::string path = fmt::format("{}/step-{:09}.npz", directory_, fit.steps());
  AtomicFile file(path);
  write_npz(file, fit.state());
  file.commit();
  std::map<int64_t, std::string> files = files_in(directory_);
  for (auto it = files.begin(); static_cast<int64_t>(files.size()) > keep_;) {
    std::error_code none;
    if (it->first != fit.steps()) fs::remove(it->second, none);
    it = files.erase(it);
  }
}

std::string Checkpoints::latest(const std::string& directory) {
  std::map<int64_t, std::string> files = files_in(directory);
  return files.empty() ? "" : files.rbegin()->second;
}

bool Checkpoints::resume(const std::string& directory, Fit& fit) {
  std::string path = latest(directory);
  if (path.empty()) return false;
  try {
    fit.set_state(read_arrays(path, read_options(fit.options().trainer.max_memory)));
  } catch (const Error& e) {
    throw e.in_file(path);
  }
  return true;
}

}  // namespace onnxrun
