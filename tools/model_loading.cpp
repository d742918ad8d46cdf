#include "model_loading.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "builtin_ops.h"
#include "graph/graph.h"
#include "import_options.h"
#include "onnx_importer.h"
#include "passes/parameters.h"

namespace onnxrun::tool {

std::string read_standard_input(std::string& path) {
  static bool read = false;
  if (read) fail(ErrorKind::Usage, "only one model can come on standard input");
  read = true;
  path = "standard input";
  if (isatty(STDIN_FILENO)) fail(ErrorKind::Usage, "the model '-' is to come on standard input");
  std::string bytes;
  std::array<char, 1 << 16> buffer{};
  for (;;) {
    ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(ErrorKind::BadModel, "{}: {}", path, std::strerror(errno));
    if (n == 0) return bytes;
    bytes.append(buffer.data(), static_cast<size_t>(n));
    if (bytes.size() > INT32_MAX) fail(ErrorKind::BadModel, "{}: a model is at most 2 GiB", path);
  }
}

Model load_model(std::string& path, const CommonOptions& common) {
  if (path != "-") return Model::load(path, common.load_options());
  std::string bytes = read_standard_input(path);
  return in_context(path, [&] {
    ImportOptions options = import_options(common.load_options());
    options.path = path;
    auto graph =
        std::make_shared<Graph>(import_model_bytes(std::move(bytes), "", builtin_ops(), options));
    choose_parameters(*graph);
    return Model(std::move(graph));
  });
}

}  // namespace onnxrun::tool
