#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/processors.h"
#include "base/threads.h"
#include "builtin_ops.h"
#include "command.h"
#include "exit_code.h"
#include "formats/json.h"
#include "graph/registry.h"
#include "kernels/vector_target.h"
#include "machine.h"
#include "messages.h"
#include "node_cost.h"
#include "openblas_report.h"

namespace onnxrun::tool {

namespace {

#ifdef NDEBUG
constexpr bool is_debug_build = false;
#else
constexpr bool is_debug_build = true;
#endif

std::string bytes_text(int64_t bytes) { return short_number(static_cast<double>(bytes), "B"); }

std::string or_default(const char* text, const char* otherwise) {
  return text && *text ? text : otherwise;
}

class Doctor final : public Command {
 public:
  Doctor() : Command({}) {}
  void declare(Options&) override {}

  int execute() override {
    look();
    if (common_.json) {
      print(document().text());
    } else {
      print_text();
    }
    return exit_ok;
  }

 private:
  void look() {
    processors_ = sysconf(_SC_NPROCESSORS_ONLN);
    affinity_ = affinity_processors();
    quota_ = cgroup_quota();
    threads_ = common_.threads > 0 ? common_.threads : available_threads();
    memory_ = machine_memory();
    temporary_ = temporary_folder();
    encoding_ = locale_encoding();
    has_cairo_ = has_library("libcairo.so.2");
    openblas_ = openblas_report();
    load_ = load_average();
    look_at_processors();
    look_at_memory();
    look_at_the_rest();
  }

  template <typename... Args>
  void advise(fmt::format_string<Args...> format, Args&&... args) {
    warnings_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  void look_at_processors() {
    if (is_debug_build) advise("this is a debug build: many times slower than a release build");
    if (vector_bytes() < 32) {
      advise(
          "the kernels use {}, {} bytes at a time; processors with AVX2 are several times faster",
          vector_target(), vector_bytes());
    }
    if (!openblas_.advice.empty()) advise("{}", openblas_.advice);
    if (affinity_ < processors_) {
      advise("the affinity mask (taskset, a batch system) allows {} of {} processors", affinity_,
             processors_);
    }
    if (quota_ > 0 && quota_ < affinity_) {
      advise("the control group (container) allows {:g} of {} processors", quota_, affinity_);
    }
    if (threads_ > available_threads()) {
      advise(
          "{} threads are asked for, but {} processors may be used: more threads make runs "
          "slower",
          threads_, available_threads());
    }
    if (load_ > static_cast<double>(processors_)) {
      advise("other programs keep the processors busy (load {:.3g} on {}): times will vary", load_,
             processors_);
    }
  }

  void look_at_memory() {
    constexpr int64_t little = int64_t{1} << 30;
    if (memory_.group && *memory_.group < memory_.total) {
      advise("the control group (container) allows {} of {} memory", bytes_text(*memory_.group),
             bytes_text(memory_.total));
    }
    if (memory_.address_space) {
      advise("the address space is limited to {} (ulimit -v): large models fail to load",
             bytes_text(*memory_.address_space));
    }
    if (memory_.available > 0 && memory_.available < little) {
      advise("{} of memory are left for models; the rest is in use", bytes_text(memory_.available));
    }
  }

  void look_at_the_rest() {
    if (!temporary_.error.empty()) {
      advise("no file can be written in {} ({}): set TMPDIR to a folder where one can",
             temporary_.path, temporary_.error);
    }
    if (!has_cairo_) {
      advise(
          "libcairo.so.2 is not there: pictures are written as SVG, not as PNG (install "
          "libcairo2)");
    }
    if (encoding_ != "UTF-8") {
      advise("the locale's encoding is {}, not UTF-8: names with other letters may look wrong",
             encoding_.empty() ? "not known" : encoding_);
    }
  }

  Json document() const {
    Json memory = {{"total", memory_.total}, {"available", memory_.available}};
    if (memory_.group) memory["cgroup_limit"] = *memory_.group;
    if (memory_.address_space) memory["address_space_limit"] = *memory_.address_space;
    memory["max_memory"] = common_.max_memory;
    return {
        {"schema", "onnxrun.doctor/1"},
        {"version", ONNXRUN_VERSION},
        {"opset", current_opset},
        {"operators", builtin_ops().all().size()},
        {"compiler", __VERSION__},
        {"debug_build", is_debug_build},
        {"libraries", ONNXRUN_LIBRARIES},
        {"processor", Json{{"name", cpu_name()},
                           {"features", cpu_features()},
                           {"kernels", vector_target()},
                           {"vector_bytes", vector_bytes()},
                           {"online", processors_},
                           {"affinity", affinity_},
                           {"cgroup_quota", quota_ > 0 ? Json(quota_) : Json()},
                           {"load", load_}}},
        {"openblas", openblas_.document},
        {"threads", threads_},
        {"memory", memory},
        {"temporary", Json{{"path", temporary_.path},
                           {"writable", temporary_.error.empty()},
                           {"free_bytes", temporary_.free_bytes}}},
        {"locale", Json{{"lang", or_default(std::getenv("LANG"), "")}, {"encoding", encoding_}}},
        {"optional_libraries", Json{{"libcairo.so.2", has_cairo_}}},
        {"warnings", warnings_}};
  }

  void print_text() const {
    std::string features;
    for (const std::string& f : cpu_features()) features += (features.empty() ? "" : " ") + f;
    std::string name = cpu_name();
    std::string text =
        fmt::format("onnxrun {}, {}, {} operators, opset {}\ncompiler: {}\nlibraries: {}\n",
                    ONNXRUN_VERSION, is_debug_build ? "debug build" : "release build",
                    builtin_ops().all().size(), current_opset, __VERSION__, ONNXRUN_LIBRARIES);
    text += fmt::format("processor: {}\n  features: {}\n  kernels use: {}, {} bytes at a time\n",
                        name.empty() ? "not known" : name, features.empty() ? "none" : features,
                        vector_target(), vector_bytes());
    text += fmt::format("  OpenBLAS: {}\n", openblas_.text);
    std::string quota = quota_ > 0 ? fmt::format("{:g}", quota_) : "none";
    text += fmt::format(
        "  online: {}, affinity: {}, cgroup quota: {}, load: {:.3g}\nthreads: {} "
        "(ONNXRUN_NUM_THREADS: {})\n",
        processors_, affinity_, quota, load_, threads_,
        or_default(std::getenv("ONNXRUN_NUM_THREADS"), "not set"));
    text += fmt::format("memory: {}, available: {}, cgroup limit: {}, --max-memory: {}\n",
                        bytes_text(memory_.total), bytes_text(memory_.available),
                        memory_.group ? bytes_text(*memory_.group) : "none",
                        bytes_text(common_.max_memory));
    text += fmt::format(
        "temporary files: {}, {}\n", temporary_.path,
        temporary_.error.empty() ? bytes_text(temporary_.free_bytes) + " free" : temporary_.error);
    text += fmt::format("locale: {}, {}\nfor PNG pictures: libcairo.so.2 {}\n",
                        or_default(std::getenv("LANG"), "not set"), encoding_,
                        has_cairo_ ? "found" : "not found");
    for (const std::string& w : warnings_) text += "warning: " + w + "\n";
    if (warnings_.empty()) text += "nothing stands in the way\n";
    print(text);
  }

  int64_t processors_ = 0;
  int affinity_ = 0, threads_ = 0;
  double quota_ = 0, load_ = 0;
  MachineMemory memory_;
  TemporaryFolder temporary_;
  std::string encoding_;
  bool has_cairo_ = false;
  OpenBlasReport openblas_;
  std::vector<std::string> warnings_;
};

}  // namespace

const CommandInfo doctor_command = {
    "doctor", "what onnxrun finds on this machine, and what stands in its way",
    "  onnxrun doctor\n"
    "  onnxrun doctor --json",
    make_command<Doctor>};

}  // namespace onnxrun::tool
