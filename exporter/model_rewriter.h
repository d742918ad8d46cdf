// Walks a ModelProto in wire form and replaces some of its tensors.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace onnxrun {

enum class MessageKind : uint8_t {
  Model,
  Graph,
  Node,
  Attribute,
  Function,
  Training,
  Tensor,
  SparseTensor,
};

// As StoredTensor::path.
using WirePath = std::vector<std::pair<int, int>>;

// Called for every tensor, sparse tensor and attribute; returns what is to stand there instead, or
// nothing to keep it and look inside.
using MessageVisitor = std::function<std::optional<std::string>(
    MessageKind kind, const WirePath& path, std::string_view message)>;

// The model after all replacements; what is not replaced keeps its bytes. Throws BadModel if the
// bytes are no message.
std::string rewrite_model(std::string_view model, const MessageVisitor& visitor);

// True if a message that belongs once (a graph, a tensor of an attribute) lies there in several
// pieces, which protobuf would merge: such a model must be serialized anew before paths lead
// anywhere.
bool has_split_messages(std::string_view model);

}  // namespace onnxrun
