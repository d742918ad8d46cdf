#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/shared_library.h"
#include "images/decoders.h"

namespace onnxrun {

namespace {

// libtiff's functions by the names that its header declares.
struct TiffFunctions {
  SharedLibrary library{"libtiff.so.6", "TIFF pictures need libtiff.so.6 (libtiff6)"};

// NOLINTBEGIN(bugprone-macro-parentheses): names of members
#define ONNXRUN_TIFF(name) \
  decltype(&TIFF##name) name = library.find<decltype(&TIFF##name)>("TIFF" #name)
  // NOLINTEND(bugprone-macro-parentheses)
  ONNXRUN_TIFF(OpenOptionsAlloc);
  ONNXRUN_TIFF(OpenOptionsFree);
  ONNXRUN_TIFF(OpenOptionsSetMaxSingleMemAlloc);
  ONNXRUN_TIFF(OpenOptionsSetErrorHandlerExtR);
  ONNXRUN_TIFF(OpenOptionsSetWarningHandlerExtR);
  ONNXRUN_TIFF(ClientOpenExt);
  ONNXRUN_TIFF(Close);
  ONNXRUN_TIFF(GetField);
  ONNXRUN_TIFF(GetFieldDefaulted);
  ONNXRUN_TIFF(RGBAImageOK);
  ONNXRUN_TIFF(ReadRGBAImageOriented);
#undef ONNXRUN_TIFF
};

// The file in memory, and the first complaint about it.
struct TiffSource {
  ImageBytes bytes;
  uint64_t at = 0;
  std::string complaint = {};
};

tmsize_t read(thandle_t handle, void* to, tmsize_t count) {
  auto* source = static_cast<TiffSource*>(handle);
  uint64_t left = source->bytes.size() - std::min<uint64_t>(source->at, source->bytes.size());
  uint64_t n = std::min(left, static_cast<uint64_t>(count));
  if (n > 0) std::memcpy(to, source->bytes.data() + source->at, n);
  source->at += n;
  return static_cast<tmsize_t>(n);
}

tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }

toff_t seek(thandle_t handle, toff_t offset, int whence) {
  auto* source = static_cast<TiffSource*>(handle);
  uint64_t from = whence == SEEK_CUR ? source->at : whence == SEEK_END ? source->bytes.size() : 0;
  source->at = from + offset;
  return source->at;
}

int close(thandle_t) { return 0; }

toff_t size(thandle_t handle) { return static_cast<TiffSource*>(handle)->bytes.size(); }

// Nothing goes to standard error.
int keep(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  auto* source = static_cast<TiffSource*>(user);
  if (!source->complaint.empty()) return 1;
  char text[200];
  std::vsnprintf(text, sizeof text, format, arguments);
  source->complaint = text;
  return 1;
}

int ignore(TIFF*, void*, const char*, const char*, va_list) { return 1; }

[[noreturn]] void bad_tiff(const TiffSource& source) {
  fail(ErrorKind::BadInput, "damaged .tif: {}",
       source.complaint.empty() ? "its header makes no sense" : source.complaint);
}

constexpr int64_t largest_block = int64_t{1} << 28;

}  // namespace

Tensor decode_tiff(ImageBytes bytes, MemoryBudget& budget) {
  static const TiffFunctions tiff;
  TiffSource source{bytes};
  std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(tiff.OpenOptionsAlloc(),
                                                                       tiff.OpenOptionsFree);
  if (!options) fail(ErrorKind::Limit, "no memory to decode a picture");
  tiff.OpenOptionsSetMaxSingleMemAlloc(options.get(), largest_block);
  tiff.OpenOptionsSetErrorHandlerExtR(options.get(), keep, &source);
  tiff.OpenOptionsSetWarningHandlerExtR(options.get(), ignore, nullptr);
  std::unique_ptr<TIFF, void (*)(TIFF*)> file(
      tiff.ClientOpenExt("picture", "rm", &source, read, write, seek, close, size, nullptr, nullptr,
                         options.get()),
      tiff.Close);
  if (!file) bad_tiff(source);
  uint32_t width = 0, height = 0;
  uint16_t extra_samples = 0, photometric = 0, *kinds = nullptr;
  if (!tiff.GetField(file.get(), TIFFTAG_IMAGEWIDTH, &width) ||
      !tiff.GetField(file.get(), TIFFTAG_IMAGELENGTH, &height) ||
      !tiff.GetField(file.get(), TIFFTAG_PHOTOMETRIC, &photometric)) {
    bad_tiff(source);
  }
  tiff.GetFieldDefaulted(file.get(), TIFFTAG_EXTRASAMPLES, &extra_samples, &kinds);
  if (extra_samples > 0) fail(ErrorKind::Unsupported, "a .tif with an alpha channel");
  char why[1024] = {};
  if (!tiff.RGBAImageOK(file.get(), why)) {
    fail(ErrorKind::Unsupported, "a .tif of a kind that is not read: {}", why);
  }
  bool gray = photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE;
  // A run of one colour takes next to no bytes.
  Tensor t = allocate_image(height, width, gray ? 1 : 3, bytes, INT64_MAX, budget);
  const int64_t pixels = t.dim(0) * t.dim(1), channels = t.dim(2);
  budget.take(pixels * int64_t{sizeof(uint32_t)}, "the picture");
  std::vector<uint32_t> words(static_cast<size_t>(pixels));
  if (!tiff.ReadRGBAImageOriented(file.get(), width, height, words.data(), ORIENTATION_TOPLEFT,
                                  1)) {
    bad_tiff(source);
  }
  uint8_t* out = t.data<uint8_t>();
  for (uint32_t word : words) {
    for (int64_t c = 0; c < channels; ++c) *out++ = static_cast<uint8_t>(word >> 8 * c);
  }
  return t;
}

}  // namespace onnxrun
