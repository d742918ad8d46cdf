// What the nodes of runs cost: recorded, added up, and as a trace.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "onnxrun/session.h"

namespace onnxrun::tool {

// What runs are added up by.
enum class ProfileBy : uint8_t { Op, Node, Shape };

class NodeTimes {
 public:
  // `traced` runs are kept node by node, for the trace.
  NodeTimes(ProfileBy by, int64_t traced) : by_(by), traced_(traced) {}

  void begin_run();
  void end_run();
  // Between these.
  void add(const Session::NodeRecord& record);

  struct Row {
    std::string key;  // the operator, the node, or the operator with its types
    std::string op;
    int64_t calls = 0;  // of all runs
    double seconds = 0;
    int64_t bytes = 0;  // of outputs that are no views, of all runs
  };
  // The slowest first.
  std::vector<Row> rows() const;

  int64_t runs() const { return runs_; }
  double seconds() const { return seconds_; }            // of all runs, observing included
  double node_seconds() const { return node_seconds_; }  // of their nodes

  // The most bytes of values that lived at the same time in the first run, and the node that made
  // the last of them. Values live from the node that computes them to the last that reads them or
  // a view of them; the model's outputs to the end.
  struct Peak {
    int64_t bytes = 0;
    std::string node;
  };
  Peak peak() const;

  // The traced runs in the format of Chrome's about:tracing and ui.perfetto.dev: a complete event
  // ("ph": "X") for each run and each node, with `memory` a counter of the bytes that live.
  std::string trace(const std::string& title, bool memory) const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Event {
    std::string op, name, types;
    std::vector<std::string> inputs, outputs;
    std::vector<int64_t> bytes;      // of the outputs; 0 for views
    std::vector<std::string> views;  // of which input an output is a view, or ""
    double start = 0, seconds = 0;   // since the first run began
  };
  struct Run {
    double start = 0, seconds = 0;
    std::vector<Event> events;
  };

  double now() const;
  Event event_of(const Session::NodeRecord& record) const;
  // Bytes that live after each node of a run.
  static std::vector<int64_t> live_bytes(const std::vector<Event>& events);

  ProfileBy by_;
  int64_t traced_, runs_ = 0;
  double seconds_ = 0, node_seconds_ = 0, run_start_ = 0;
  Clock::time_point origin_ = {};
  std::map<std::string, Row> rows_;
  std::vector<Run> kept_;  // the first runs
};

}  // namespace onnxrun::tool
