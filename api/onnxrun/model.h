// A model loaded from an .onnx file.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "onnxrun/custom_operators.h"
#include "onnxrun/value.h"

namespace onnxrun {

class Graph;
class Lowerings;

// Half of the memory that the machine has, or the control groups of this process: the other half is
// for what is not counted.
int64_t default_max_memory();

// Limits suit a file from a stranger; what goes beyond one is an Error of kind Limit.
struct LoadOptions {
  enum class ExternalData : uint8_t { Deny, ModelDir, Directory };
  // Where tensors outside the .onnx file may lie: nowhere, beside or below it (the default), or
  // below `external_directory`, which may also be reached through links, as model caches have them.
  ExternalData external_data = ExternalData::ModelDir;
  std::string external_directory;
  // Bytes that all tensors of the file may take together, and those that any one may.
  int64_t max_memory = default_max_memory();
  int64_t max_tensor_bytes = INT64_MAX;
  // How deep subgraphs and calls of functions may lie in each other.
  int max_nesting = 100;
  // Wall time; then it throws Timeout.
  std::optional<double> timeout_seconds = {};
  // The operators there are, if not the library's alone.
  std::optional<Operators> operators = {};
};

// An input or output.
struct ValueInfo {
  std::string name;
  std::string type;  // "float[batch,3]"
};

// Weights and constants of the file.
struct InitializerInfo {
  std::string name;
  Tensor value;
  bool trainable = false;
  std::string role;    // "parameter", "buffer", "constant"
  std::string reason;  // why it has this role
};

// Immutable, cheap to copy (copies share everything), safe to use from several threads.
class Model {
 public:
  // Throws Error: BadModel for a file that is unreadable or breaks the standard, Unsupported for an
  // operator, opset or type that this build does not have.
  static Model load(const std::string& path, const LoadOptions& options = {});
  // The same from the bytes of an .onnx file, or from a stream that gives them. Tensors outside are
  // looked for in `external_directory`; without one they are an error.
  static Model from_bytes(std::string bytes, const LoadOptions& options = {});
  static Model load(std::istream& stream, const LoadOptions& options = {});

  std::vector<ValueInfo> inputs() const;
  std::vector<ValueInfo> outputs() const;
  // In the order of their names.
  std::vector<InitializerInfo> initializers() const;

  // Writes the file this model was loaded from with other payloads for some of its initializers, by
  // name; each must have its initializer's type and shape. Nothing else changes, but that tensors
  // kept outside the file go to `path`.data. Atomic. With `in_place`, `path` may be the file this
  // model was loaded from, whose data files are then replaced, too. Throws CannotWrite; Usage for a
  // name that the file does not store, BadInput for another type or shape.
  void save(const std::string& path, const std::map<std::string, Tensor>& weights,
            bool in_place = false) const;

  // The graph behind the model, for tools that build on this library's inner layers.
  const Graph& graph() const { return *graph_; }
  const std::shared_ptr<const Graph>& shared_graph() const { return graph_; }
  explicit Model(std::shared_ptr<const Graph> graph, LoadOptions options = {});
  const LoadOptions& load_options() const { return options_; }
  // What the graph was lowered to, shared by sessions.
  const std::shared_ptr<Lowerings>& lowerings() const { return lowerings_; }

 private:
  std::shared_ptr<const Graph> graph_;
  std::shared_ptr<Lowerings> lowerings_;
  LoadOptions options_;
};

}  // namespace onnxrun
