#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <memory>
#include <mutex>
#include <string>

namespace onnxrun {

namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return spdlog::level::debug;
    case LogLevel::Info:
      return spdlog::level::info;
    case LogLevel::Warning:
      return spdlog::level::warn;
    case LogLevel::Error:
      return spdlog::level::err;
    case LogLevel::Off:
      break;
  }
  return spdlog::level::off;
}

LogLevel from_spdlog(spdlog::level::level_enum level) {
  if (level <= spdlog::level::debug) return LogLevel::Debug;
  if (level == spdlog::level::info) return LogLevel::Info;
  if (level == spdlog::level::warn) return LogLevel::Warning;
  return level == spdlog::level::off ? LogLevel::Off : LogLevel::Error;
}

class CallerSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void replace(LogSink other) {
    std::lock_guard lock(mutex_);
    sink_ = std::move(other);
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (sink_) {
      sink_(from_spdlog(message.level), {message.payload.data(), message.payload.size()});
    }
  }
  void flush_() override {}

  LogSink sink_;
};

struct Log {
  std::shared_ptr<CallerSink> sink = std::make_shared<CallerSink>();
  spdlog::logger logger{"onnxrun", sink};
};

// Never destroyed: what logs may outlive other objects of the program.
Log& the_log() {
  static Log& log = *new Log;
  return log;
}

}  // namespace

void set_log_sink(LogSink sink) { the_log().sink->replace(std::move(sink)); }
void set_log_level(LogLevel level) { the_log().logger.set_level(to_spdlog(level)); }
LogLevel log_level() { return from_spdlog(the_log().logger.level()); }

bool is_logged(LogLevel level) { return the_log().logger.should_log(to_spdlog(level)); }

void log_text(LogLevel level, std::string_view message) {
  the_log().logger.log(to_spdlog(level), spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace onnxrun
