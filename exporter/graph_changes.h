// Changes to the main graph of a model file: what is not changed keeps its bytes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace onnxrun {

struct GraphChanges {
  // Fields of the GraphProto by number and which of them it is, from 0: their new contents, or
  // nothing where they go.
  std::map<std::pair<int, int>, std::optional<std::string>> fields;
  // Fields behind the others: number and content.
  std::vector<std::pair<int, std::string>> added;
  // Entries of the model's metadata_props; to one that is there already a line is added.
  std::map<std::string, std::string> metadata;

  bool empty() const { return fields.empty() && added.empty() && metadata.empty(); }
};

// The model with these changes. Throws BadModel if the bytes are no message, CannotWrite if it
// becomes larger than the 2 GiB of one.
std::string with_changes(std::string_view model, const GraphChanges& changes);

}  // namespace onnxrun
