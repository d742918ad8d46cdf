// TensorBoard's event files.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

namespace onnxrun {

// Records as TFRecord frames them (length, masked CRC-32C, bytes, masked CRC-32C), each an Event
// message of tensorflow/core/util/event.proto. Every record reaches the file as it is written.
class EventFile {
 public:
  // A new file `directory`/events.out.tfevents.TIME.onnxrun. Throws CannotWrite.
  explicit EventFile(const std::string& directory);

  // A GraphDef message (fit/graph_def.h).
  void graph(const std::string& definition);
  void scalar(const std::string& tag, int64_t step, double value);
  // Counts of finite values between 30 equal steps from the least to the greatest.
  void histogram(const std::string& tag, int64_t step, std::span<const double> values);

 private:
  void event(int64_t step, int field, const std::string& message);
  void record(const std::string& bytes);

  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

}  // namespace onnxrun
