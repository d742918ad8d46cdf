#include <fcntl.h>
#include <onnx/onnx_pb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/atomic_file.h"
#include "base/error.h"
#include "model_rewriter.h"
#include "onnx_exporter.h"
#include "payload_writer.h"

namespace onnxrun {

namespace {

namespace fs = std::filesystem;

// Elements at a place of a data file.
struct Patch {
  std::string name;
  int64_t offset = 0;
  Tensor value;  // none: the tensor keeps its elements
  int64_t bytes = 0;
  int64_t end() const { return offset + bytes; }
};

// The same path for the same file, whether it exists or not.
fs::path normalized(const fs::path& path) {
  std::error_code error;
  fs::path result = fs::weakly_canonical(path, error);
  return error ? fs::absolute(path) : result;
}

class TrainedExporter {
 public:
  TrainedExporter(const ModelSource& source, const std::map<int, Tensor>& payloads,
                  const std::string& out_path, const TrainedExportOptions& options)
      : source_(source), out_path_(out_path), options_(options) {
    for (const auto& [index, value] : payloads) add_payload(index, value);
  }

  void write() {
    name_data_files();
    check_targets();
    std::string model = rewrite();
    if (options_.finish) model = options_.finish(std::move(model));
    std::vector<std::unique_ptr<AtomicFile>> files;
    for (const auto& [location, name] : new_names_) files.push_back(data_file(location, name));
    files.push_back(std::make_unique<AtomicFile>(out_path_));
    files.back()->write(model);
    std::vector<AtomicFile*> together;
    for (const auto& file : files) together.push_back(file.get());
    AtomicFile::commit(together);
  }

 private:
  struct Payload {
    const StoredTensor* stored;
    const Tensor* value;
    bool written = false;
  };

  void add_payload(int index, const Tensor& value) {
    if (index < 0 || static_cast<size_t>(index) >= source_.stored.size()) {
      fail(ErrorKind::Usage, "the model file has no stored tensor {}", index);
    }
    const StoredTensor& stored = source_.stored[static_cast<size_t>(index)];
    if (value.dtype() != stored.dtype) {
      fail(ErrorKind::Usage, "tensor '{}' is {} in the file, {} was given", stored.name,
           to_string(stored.dtype), value.type_text());
    }
    payloads_[stored.path] = {&stored, &value};
  }

  void name_data_files() {
    fs::path file_name = fs::path(out_path_).filename();
    int count = 0;
    for (const auto& [location, path] : source_.data_files) {
      std::string number = count == 0 ? "" : "." + std::to_string(count);
      ++count;
      new_names_[location] = options_.in_place ? location : file_name.string() + number + ".data";
    }
  }

  fs::path data_path(const std::string& name) const {
    return fs::path(out_path_).parent_path() / name;
  }

  void check_targets() const {
    if (options_.in_place) return;
    std::vector<fs::path> inputs;
    if (!source_.path.empty()) inputs.push_back(normalized(source_.path));
    for (const auto& [location, path] : source_.data_files) inputs.push_back(normalized(path));
    std::vector<fs::path> outputs = {out_path_};
    for (const auto& [location, name] : new_names_) outputs.push_back(data_path(name));
    for (const fs::path& output : outputs) {
      if (std::find(inputs.begin(), inputs.end(), normalized(output)) != inputs.end()) {
        fail(ErrorKind::CannotWrite, "'{}' belongs to the input model and would be overwritten",
             output.string());
      }
    }
  }

  std::string rewrite() {
    std::string bytes = source_.file_bytes();
    if (has_split_messages(bytes)) {
      onnx::ModelProto model;
      model.ParseFromString(bytes);
      bytes = model.SerializeAsString();
    }
    std::string result = rewrite_model(
        bytes, [this](MessageKind kind, const WirePath& path, std::string_view message) {
          return replace(kind, path, message);
        });
    for (const auto& [path, payload] : payloads_) {
      if (!payload.written) {
        fail(ErrorKind::Internal, "tensor '{}' is not where it was read", payload.stored->name);
      }
    }
    return result;
  }

  std::optional<std::string> replace(MessageKind kind, const WirePath& path,
                                     std::string_view message) {
    auto it = payloads_.find(path);
    if (it == payloads_.end()) {
      return kind == MessageKind::Tensor ? keep_tensor(message) : std::nullopt;
    }
    Payload& payload = it->second;
    payload.written = true;
    try {
      switch (kind) {
        case MessageKind::Attribute:
          return with_attribute_elements(message, *payload.value);
        case MessageKind::SparseTensor:
          return with_sparse_elements(message, *payload.value);
        default:
          return replace_tensor(message, payload);
      }
    } catch (const Error& e) {
      throw e.in("tensor '" + payload.stored->name + "'");
    }
  }

  std::optional<std::string> keep_tensor(std::string_view message) {
    TensorStorage storage = storage_of(message);
    if (!storage.external || !new_names_.count(storage.location)) return std::nullopt;
    patches_[storage.location].push_back({storage.name, storage.offset, {}, storage.length});
    return with_location(message, new_names_);
  }

  std::string replace_tensor(std::string_view message, const Payload& payload) {
    TensorStorage storage = storage_of(message);
    if (!storage.external) return with_elements(message, *payload.value);
    patches_[storage.location].push_back(
        {payload.stored->name, storage.offset, *payload.value, payload.value->bytes()});
    return with_location(message, new_names_);
  }

  // Tensors that share bytes can only be written if they agree.
  static void check_overlaps(std::vector<Patch>& patches, const std::string& location) {
    std::sort(patches.begin(), patches.end(),
              [](const Patch& a, const Patch& b) { return a.offset < b.offset; });
    const Patch* furthest = nullptr;          // of those that end last so far
    const Patch* furthest_changed = nullptr;  // the same among those with new elements
    for (const Patch& patch : patches) {
      const Patch* other = patch.value.defined() ? furthest : furthest_changed;
      if (other && other->end() > patch.offset && !agree(*other, patch)) {
        fail(ErrorKind::CannotWrite,
             "tensors '{}' and '{}' share bytes of '{}' but have different elements now",
             other->name, patch.name, location);
      }
      auto extend = [&](const Patch*& last) {
        if (!last || patch.end() > last->end()) last = &patch;
      };
      extend(furthest);
      if (patch.value.defined()) extend(furthest_changed);
    }
  }

  static bool agree(const Patch& a, const Patch& b) {
    return a.offset == b.offset && a.bytes == b.bytes && a.value.defined() && b.value.defined() &&
           std::memcmp(a.value.raw(), b.value.raw(), static_cast<size_t>(a.bytes)) == 0;
  }

  std::unique_ptr<AtomicFile> data_file(const std::string& location, const std::string& name) {
    std::vector<Patch>& patches = patches_[location];
    check_overlaps(patches, location);
    auto out = std::make_unique<AtomicFile>(data_path(name).string());
    copy_file(source_.data_files.at(location), *out);
    for (const Patch& patch : patches) {
      if (patch.value.defined()) {
        out->write_at(patch.offset, {patch.value.raw(), static_cast<size_t>(patch.bytes)});
      }
    }
    return out;
  }

  static void copy_file(const std::string& path, AtomicFile& out) {
    int in = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat status = {};
    bool ok = in >= 0 && ::fstat(in, &status) == 0 && S_ISREG(status.st_mode);
    std::vector<std::byte> buffer(1 << 20);
    ssize_t n = 0;
    try {
      while (ok && (n = ::read(in, buffer.data(), buffer.size())) > 0) {
        out.write({buffer.data(), static_cast<size_t>(n)});
      }
    } catch (...) {
      ::close(in);
      throw;
    }
    if (in >= 0) ::close(in);
    if (!ok || n < 0) {
      fail(ErrorKind::CannotWrite, "the input's data file '{}' cannot be read again", path);
    }
  }

  const ModelSource& source_;
  std::string out_path_;
  TrainedExportOptions options_;
  std::map<WirePath, Payload> payloads_;
  std::map<std::string, std::string> new_names_;  // of data files, by location
  std::map<std::string, std::vector<Patch>> patches_;
};

}  // namespace

void export_trained(const Graph& imported, const std::map<int, Tensor>& payloads,
                    const std::string& out_path, const TrainedExportOptions& options) {
  if (!imported.source || imported.source->bytes.empty()) {
    fail(ErrorKind::Usage, "the graph was not read from a model file");
  }
  TrainedExporter(*imported.source, payloads, out_path, options).write();
}

}  // namespace onnxrun
