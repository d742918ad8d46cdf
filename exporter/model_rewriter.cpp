#include "model_rewriter.h"

#include <map>

#include "wire.h"

namespace onnxrun {

namespace {

struct Child {
  MessageKind parent;
  int number;
  MessageKind kind;
  bool repeated;
};

// Field numbers of onnx.proto, down to IR version 14.
constexpr Child children[] = {
    {MessageKind::Model, 7, MessageKind::Graph, false},
    {MessageKind::Model, 20, MessageKind::Training, true},
    {MessageKind::Model, 25, MessageKind::Function, true},
    {MessageKind::Training, 1, MessageKind::Graph, false},
    {MessageKind::Training, 2, MessageKind::Graph, false},
    {MessageKind::Graph, 1, MessageKind::Node, true},
    {MessageKind::Graph, 5, MessageKind::Tensor, true},
    {MessageKind::Graph, 15, MessageKind::SparseTensor, true},
    {MessageKind::Function, 7, MessageKind::Node, true},
    {MessageKind::Function, 11, MessageKind::Attribute, true},
    {MessageKind::Node, 5, MessageKind::Attribute, true},
    {MessageKind::Attribute, 5, MessageKind::Tensor, false},
    {MessageKind::Attribute, 6, MessageKind::Graph, false},
    {MessageKind::Attribute, 10, MessageKind::Tensor, true},
    {MessageKind::Attribute, 11, MessageKind::Graph, true},
    {MessageKind::Attribute, 22, MessageKind::SparseTensor, false},
    {MessageKind::Attribute, 23, MessageKind::SparseTensor, true},
    {MessageKind::SparseTensor, 1, MessageKind::Tensor, false},
    {MessageKind::SparseTensor, 2, MessageKind::Tensor, false},
};

const Child* find_child(MessageKind parent, const wire::Field& field) {
  if (field.type != wire::Type::Bytes) return nullptr;
  for (const Child& c : children) {
    if (c.parent == parent && c.number == field.number) return &c;
  }
  return nullptr;
}

bool is_visited(MessageKind kind) {
  return kind == MessageKind::Tensor || kind == MessageKind::SparseTensor ||
         kind == MessageKind::Attribute;
}

class Rewriter {
 public:
  explicit Rewriter(const MessageVisitor& visitor) : visitor_(visitor) {}

  std::string rewrite(MessageKind kind, std::string_view message) {
    if (is_visited(kind)) {
      if (auto replacement = visitor_(kind, path_, message)) return std::move(*replacement);
    }
    std::string result;
    result.reserve(message.size());
    std::map<int, int> counts;
    wire::Reader reader(message);
    while (auto field = reader.next()) {
      const Child* child = find_child(kind, *field);
      if (!child) {
        result.append(field->header).append(field->content);
        continue;
      }
      path_.emplace_back(field->number, counts[field->number]++);
      wire::append_field(result, *field, rewrite(child->kind, field->content));
      path_.pop_back();
    }
    return result;
  }

 private:
  const MessageVisitor& visitor_;
  WirePath path_;
};

bool has_split(MessageKind kind, std::string_view message) {
  std::map<int, int> counts;
  wire::Reader reader(message);
  while (auto field = reader.next()) {
    const Child* child = find_child(kind, *field);
    if (!child) continue;
    if (!child->repeated && ++counts[field->number] > 1) return true;
    if (has_split(child->kind, field->content)) return true;
  }
  return false;
}

}  // namespace

std::string rewrite_model(std::string_view model, const MessageVisitor& visitor) {
  return Rewriter(visitor).rewrite(MessageKind::Model, model);
}

bool has_split_messages(std::string_view model) { return has_split(MessageKind::Model, model); }

}  // namespace onnxrun
