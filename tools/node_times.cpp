#include "node_times.h"

#include <fmt/format.h>

#include <algorithm>

#include "formats/json.h"

namespace onnxrun::tool {

namespace {

std::string joined_types(const std::vector<const RuntimeValue*>& values) {
  std::string text;
  for (const RuntimeValue* value : values) {
    text += (text.empty() ? "" : ", ") + (value ? describe(*value) : std::string("_"));
  }
  return text;
}

int64_t bytes_of(const RuntimeValue& value) {
  if (value.is_tensor()) return value.tensor.bytes();
  int64_t bytes = value.tensor.defined() ? value.tensor.bytes() : 0;
  if (value.items) {
    for (const RuntimeValue& item : *value.items) bytes += bytes_of(item);
  }
  return bytes;
}

}  // namespace

double NodeTimes::now() const {
  return std::chrono::duration<double>(Clock::now() - origin_).count();
}

void NodeTimes::begin_run() {
  if (runs_ == 0) origin_ = Clock::now();
  run_start_ = now();
  if (runs_ < traced_) kept_.emplace_back().start = run_start_;
}

void NodeTimes::end_run() {
  double took = now() - run_start_;
  if (runs_ < traced_) kept_.back().seconds = took;
  seconds_ += took;
  ++runs_;
}

NodeTimes::Event NodeTimes::event_of(const Session::NodeRecord& record) const {
  Event event;
  event.op = record.op;
  event.name = record.name.empty() && !record.output_names.empty() ? record.output_names.front()
                                                                   : std::string(record.name);
  event.inputs = record.input_names;
  event.outputs = record.output_names;
  for (const RuntimeValue* output : record.outputs) {
    std::string view;
    for (size_t i = 0; output && output->is_tensor() && i < record.inputs.size(); ++i) {
      const RuntimeValue* input = record.inputs[i];
      bool same = input && input->is_tensor() && output->tensor.bytes() > 0 &&
                  std::as_const(input->tensor).raw() == std::as_const(output->tensor).raw();
      if (same) view = record.input_names[i];
    }
    event.bytes.push_back(output && view.empty() ? bytes_of(*output) : 0);
    event.views.push_back(view);
  }
  return event;
}

void NodeTimes::add(const Session::NodeRecord& record) {
  double end = now();
  Event event = event_of(record);
  std::string key = event.op;
  if (by_ == ProfileBy::Node) key = event.name;
  bool traced = runs_ < traced_;
  if (by_ == ProfileBy::Shape || traced) {
    event.types = joined_types(record.inputs) + " -> " + joined_types(record.outputs);
  }
  if (by_ == ProfileBy::Shape) key += " " + event.types;
  Row& row = rows_[key];
  row.key = key;
  row.op = event.op;
  ++row.calls;
  row.seconds += record.seconds;
  for (int64_t bytes : event.bytes) row.bytes += bytes;
  node_seconds_ += record.seconds;
  if (!traced) return;
  event.start = std::max(end - record.seconds, run_start_);
  event.seconds = record.seconds;
  kept_.back().events.push_back(std::move(event));
}

std::vector<NodeTimes::Row> NodeTimes::rows() const {
  std::vector<Row> rows;
  for (const auto& [key, row] : rows_) rows.push_back(row);
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.seconds > b.seconds; });
  return rows;
}

std::vector<int64_t> NodeTimes::live_bytes(const std::vector<Event>& events) {
  std::map<std::string, std::string> base;  // of views
  auto base_of = [&](const std::string& name) {
    auto it = base.find(name);
    return it == base.end() ? name : it->second;
  };
  struct Life {
    size_t first, last;
    int64_t bytes;
  };
  std::map<std::string, Life> lives;
  for (size_t e = 0; e < events.size(); ++e) {
    for (const std::string& input : events[e].inputs) {
      auto it = lives.find(base_of(input));
      if (it != lives.end()) it->second.last = e;
    }
    for (size_t k = 0; k < events[e].outputs.size(); ++k) {
      if (!events[e].views[k].empty()) {
        base[events[e].outputs[k]] = base_of(events[e].views[k]);
      } else {
        // One that nobody reads is an output.
        lives[events[e].outputs[k]] = {e, events.size(), events[e].bytes[k]};
      }
    }
  }
  std::vector<int64_t> change(events.size() + 1);
  for (const auto& [name, life] : lives) {
    change[life.first] += life.bytes;
    if (life.last < events.size()) change[life.last + 1] -= life.bytes;
  }
  std::vector<int64_t> live;
  int64_t now = 0;
  for (size_t e = 0; e < events.size(); ++e) live.push_back(now += change[e]);
  return live;
}

NodeTimes::Peak NodeTimes::peak() const {
  if (kept_.empty()) return {};
  const auto& events = kept_.front().events;
  std::vector<int64_t> live = live_bytes(events);
  auto most = std::max_element(live.begin(), live.end());
  if (most == live.end()) return {};
  return {*most, events[static_cast<size_t>(most - live.begin())].name};
}

std::string NodeTimes::trace(const std::string& title, bool memory) const {
  Json list = Json::array();
  auto metadata = [&](const char* name, const std::string& value) {
    list.push_back(
        Json{{"name", name}, {"ph", "M"}, {"pid", 1}, {"tid", 1}, {"args", Json{{"name", value}}}});
  };
  metadata("process_name", "onnxrun " + title);
  metadata("thread_name", "nodes");
  auto complete = [&](const std::string& name, const char* category, double start, double seconds,
                      Json args) {
    list.push_back(Json{{"name", name},
                        {"cat", category},
                        {"ph", "X"},
                        {"ts", 1e6 * start},
                        {"dur", 1e6 * seconds},
                        {"pid", 1},
                        {"tid", 1},
                        {"args", std::move(args)}});
  };
  for (size_t r = 0; r < kept_.size(); ++r) {
    const Run& run = kept_[r];
    complete(fmt::format("run {}", r), "run", run.start, run.seconds, Json::object());
    std::vector<int64_t> live = memory ? live_bytes(run.events) : std::vector<int64_t>();
    for (size_t e = 0; e < run.events.size(); ++e) {
      const Event& event = run.events[e];
      complete(event.op, "node", event.start, event.seconds,
               Json{{"node", event.name},
                    {"inputs", event.inputs},
                    {"outputs", event.outputs},
                    {"types", event.types}});
      if (!memory) continue;
      list.push_back(Json{{"name", "values"},
                          {"ph", "C"},
                          {"ts", 1e6 * event.start},
                          {"pid", 1},
                          {"args", Json{{"bytes", live[e]}}}});
    }
  }
  return Json{{"traceEvents", std::move(list)}, {"displayTimeUnit", "ms"}}.text(false);
}

}  // namespace onnxrun::tool
