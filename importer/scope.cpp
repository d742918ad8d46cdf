#include "scope.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"

namespace onnxrun {

namespace {

int64_t next_serial() {
  static std::atomic<int64_t> serial = 0;
  return ++serial;
}

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

std::unordered_map<std::string, const onnx::NodeProto*> producers_of(const Nodes& nodes) {
  std::unordered_map<std::string, const onnx::NodeProto*> producers;
  for (const auto& node : nodes) {
    for (const std::string& output : node.output()) producers.emplace(output, &node);
  }
  return producers;
}

// True if what produces `name` needs, directly or not, its own result.
bool in_cycle(const Nodes& nodes, const std::string& name) {
  auto producers = producers_of(nodes);
  std::unordered_set<const onnx::NodeProto*> seen;
  std::vector<const onnx::NodeProto*> open = {producers.at(name)};
  while (!open.empty()) {
    const onnx::NodeProto* node = open.back();
    open.pop_back();
    for (const std::string& input : node->input()) {
      if (input == name) return true;
      auto it = producers.find(input);
      if (it != producers.end() && seen.insert(it->second).second) open.push_back(it->second);
    }
  }
  return false;
}

}  // namespace

Path operator+(Path path, std::pair<int, int> step) {
  path.push_back(step);
  return path;
}

Frame::Frame(const OpRegistry& registry, Frame* outer)
    : graph(registry), serial(next_serial()), outer_(outer) {}

ValueId Frame::bring(Frame& from, ValueId id) {
  if (id == no_value || &from == this) return id;
  return capture(outer_->bring(from, id));
}

ValueId Frame::capture(ValueId outer_id) {
  auto [it, first] = inner_of_.emplace(outer_id, no_value);
  if (first) {
    const Value& outer = outer_->graph.value(outer_id);
    it->second = graph.add_value(fresh(outer.name), outer.type);
    graph.value(it->second).content = outer.content;
    captures_.push_back({outer_id, it->second});
    fix(it->second);
    if (outer_->is_doubtful(outer_id)) doubt(it->second);
  }
  return it->second;
}

void Frame::note_new_values() {
  for (; noted_ < graph.value_count(); ++noted_) {
    auto id = static_cast<ValueId>(noted_);
    holders_.emplace(graph.value(id).name, id);
  }
}

void Frame::rename(ValueId id, const std::string& name) {
  note_new_values();
  Value& value = graph.value(id);
  auto holder = holders_.find(value.name);
  if (holder != holders_.end() && holder->second == id) holders_.erase(holder);
  value.name = name;
  holders_[name] = id;
}

void Frame::claim(const std::string& name) {
  note_new_values();
  auto it = holders_.find(name);
  if (it == holders_.end()) return;
  ValueId id = it->second;
  rename(id, fresh(name + "_"));
}

std::string Frame::fresh(const std::string& name) {
  note_new_values();
  std::string candidate = graph.unique_name(name);
  while (holders_.count(candidate)) candidate = graph.unique_name(candidate + "_");
  return candidate;
}

void Scope::define(const std::string& name, ValueId id) {
  if (!names_.emplace(name, id).second) {
    fail(ErrorKind::BadModel, "the name '{}' is given to two values", name);
  }
}

ValueId Scope::lookup(const std::string& name) const {
  if (name.empty()) return no_value;
  for (const Scope* s = this; s; s = s->outer) {
    auto it = s->names_.find(name);
    if (it != s->names_.end()) return frame.bring(s->frame, it->second);
  }
  fail_lookup(name);
}

std::string Scope::own_name(const std::string& name) const {
  if (!prefix.empty()) return frame.fresh(prefix + name);
  frame.claim(name);
  return name;
}

void Scope::fail_lookup(const std::string& name) const {
  for (const Scope* s = this; s; s = s->outer) {
    if (!s->nodes) continue;
    for (const auto& node : *s->nodes) {
      if (std::find(node.output().begin(), node.output().end(), name) == node.output().end())
        continue;
      if (in_cycle(*s->nodes, name)) {
        fail(ErrorKind::BadModel, "'{}' depends on itself: the nodes form a cycle", name);
      }
      fail(ErrorKind::BadModel,
           "'{}' is read before {} node '{}' produces it; nodes must be in topological order", name,
           node.op_type(), node.name());
    }
  }
  fail(ErrorKind::BadModel, "nothing produces '{}'", name);
}

}  // namespace onnxrun
