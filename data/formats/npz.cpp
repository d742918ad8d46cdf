#include "formats/npz.h"

#include "base/error.h"
#include "formats/npy.h"
#include "formats/zip.h"

namespace onnxrun {

static constexpr std::string_view suffix = ".npy";

NamedTensors read_npz(const DataFile& file, MemoryBudget& budget, const std::string& key) {
  ZipReader zip(file, budget);
  NamedTensors arrays;
  std::vector<std::string> names;
  for (const ZipEntry& entry : zip.entries()) {
    if (!entry.name.ends_with(suffix)) continue;
    std::string name = entry.name.substr(0, entry.name.size() - suffix.size());
    names.push_back(name);
    if (!key.empty() && name != key) continue;
    try {
      arrays.push_back({name, read_npy(*zip.open(entry), budget)});
    } catch (const Error& e) {
      throw e.in(fmt::format("array '{}'", name));
    }
  }
  if (!key.empty() && arrays.empty()) fail_unknown_key(key, names);
  return arrays;
}

void write_npz(AtomicFile& file, const NamedTensors& arrays) {
  ZipWriter zip(file);
  for (const NamedTensor& array : arrays) {
    NpyParts parts = to_npy(array.tensor);
    zip.add(array.name + std::string(suffix), parts.head,
            {parts.body.raw(), static_cast<size_t>(parts.body.bytes())});
  }
  zip.finish();
}

}  // namespace onnxrun
