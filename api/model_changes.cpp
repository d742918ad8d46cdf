#include "onnxrun/model_changes.h"

#include <filesystem>
#include <memory>

#include "graph/graph.h"
#include "import_options.h"
#include "new_classes.h"
#include "onnx_importer.h"
#include "passes/parameters.h"
#include "unshare.h"

namespace onnxrun {

// The model that the file has become.
static Model read_again(const Model& model, std::string bytes) {
  const ModelSource& source = *model.graph().source;
  LoadOptions options = model.load_options();
  ImportOptions import = import_options(options);
  import.path = source.path;
  std::string directory = options.external_directory;
  if (source.data_files.empty()) {
    import.external_data = ExternalData::Deny;
  } else if (!source.path.empty()) {
    directory = std::filesystem::path(source.path).parent_path().string();
    if (directory.empty()) directory = ".";
  }
  auto graph = std::make_shared<Graph>(
      import_model_bytes(std::move(bytes), directory, model.graph().registry(), import));
  choose_parameters(*graph);
  return Model(std::move(graph), options);
}

UnsharedModel unshare(const Model& model, Unshare mode) {
  UnsharedFile file = unshare_tensors(model.graph(), mode);
  if (file.bytes.empty()) return {model, {}};
  return {read_again(model, std::move(file.bytes)), std::move(file.added)};
}

NewClasses with_new_classes(const Model& model, int64_t classes, const std::string& output,
                            uint64_t seed) {
  NewClassesFile file = replace_classes(model.graph(), output, classes, seed);
  return {read_again(model, std::move(file.bytes)), std::move(file.output), std::move(file.tensors),
          file.classes_before};
}

}  // namespace onnxrun
