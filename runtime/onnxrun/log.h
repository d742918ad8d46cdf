// What the library has to say while it works: warnings, what it chose, what it left out.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace onnxrun {

enum class LogLevel : uint8_t { Debug, Info, Warning, Error, Off };

// Gets each message of the level that is set or above: one line of text without an end of line.
// Called by the thread that the message is about, one call at a time.
using LogSink = std::function<void(LogLevel level, std::string_view message)>;

// Until a sink is set, and with an empty one, nobody is told. Both may be called by any thread, but
// not by a sink.
void set_log_sink(LogSink sink);
// Info unless set.
void set_log_level(LogLevel level);
LogLevel log_level();

}  // namespace onnxrun
