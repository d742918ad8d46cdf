// Data files: the first byte says which format, the rest is the file. From 128 on an .npz gets the
// sums that belong to it.
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "guarded.h"
#include "zip_sums.h"

using namespace onnxrun;

namespace {

// In the order of fuzz/make_corpora.sh.
constexpr std::array names = {
    "a.npy", "a.npz", "a.csv",  "a.tsv", "a.idx", "a.npy.gz", "a.csv.gz", "a.safetensors",  "a.png",
    "a.jpg", "a.bmp", "a.webp", "a.ppm", "a.pb",  "a.raw",    "inline",   "a-idx3-ubyte.gz"};

struct Folder {
  Folder() : path("/dev/shm/onnxrun-fuzz-" + std::to_string(getpid())) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const Folder folder;
  const std::string name = names[data[0] % names.size()];
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (name == "a.npz" && data[0] >= 128) fuzz::mend_zip_sums(text);
  std::string spec = text;
  if (name != "inline") {
    spec = folder.path + "/" + name;
    std::ofstream(spec, std::ios::binary) << text;
    if (name == "a.raw") spec += ":f32:3x4";
  }
  // With a name only one array is read, without one all of them.
  spec = "x=" + spec;
  fuzz::guarded([&] { open_arrays({spec}, fuzz::most_memory); });
  fuzz::guarded([&] { open_arrays({spec.substr(2)}, fuzz::most_memory); });
  return 0;
}
