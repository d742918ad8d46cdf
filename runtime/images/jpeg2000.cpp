#include <openjpeg.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/shared_library.h"
#include "images/decoders.h"

namespace onnxrun {

namespace {

// OpenJPEG's functions by the names that its header declares.
struct Jpeg2000Functions {
  SharedLibrary library{"libopenjp2.so.7",
                        "JPEG 2000 pictures need libopenjp2.so.7 (libopenjp2-7)"};

// NOLINTBEGIN(bugprone-macro-parentheses): names of members
#define ONNXRUN_OPJ(name) \
  decltype(&opj_##name) name = library.find<decltype(&opj_##name)>("opj_" #name)
  // NOLINTEND(bugprone-macro-parentheses)
  ONNXRUN_OPJ(set_default_decoder_parameters);
  ONNXRUN_OPJ(create_decompress);
  ONNXRUN_OPJ(destroy_codec);
  ONNXRUN_OPJ(set_error_handler);
  ONNXRUN_OPJ(setup_decoder);
  ONNXRUN_OPJ(stream_create);
  ONNXRUN_OPJ(stream_destroy);
  ONNXRUN_OPJ(stream_set_user_data);
  ONNXRUN_OPJ(stream_set_user_data_length);
  ONNXRUN_OPJ(stream_set_read_function);
  ONNXRUN_OPJ(stream_set_skip_function);
  ONNXRUN_OPJ(stream_set_seek_function);
  ONNXRUN_OPJ(read_header);
  ONNXRUN_OPJ(decode);
  ONNXRUN_OPJ(end_decompress);
  ONNXRUN_OPJ(image_destroy);
#undef ONNXRUN_OPJ
};

const Jpeg2000Functions& openjpeg() {
  static const Jpeg2000Functions functions;
  return functions;
}

// The file in memory, and the first complaint about it.
struct Jpeg2000Source {
  ImageBytes bytes;
  size_t at = 0;
  std::string complaint = {};
};

OPJ_SIZE_T read(void* to, OPJ_SIZE_T count, void* user) {
  auto* source = static_cast<Jpeg2000Source*>(user);
  size_t n = std::min<size_t>(count, source->bytes.size() - source->at);
  if (n == 0) return static_cast<OPJ_SIZE_T>(-1);
  std::memcpy(to, source->bytes.data() + source->at, n);
  source->at += n;
  return n;
}

OPJ_BOOL seek(OPJ_OFF_T to, void* user) {
  auto* source = static_cast<Jpeg2000Source*>(user);
  if (to < 0 || static_cast<uint64_t>(to) > source->bytes.size()) return OPJ_FALSE;
  source->at = static_cast<size_t>(to);
  return OPJ_TRUE;
}

OPJ_OFF_T skip(OPJ_OFF_T count, void* user) {
  auto* source = static_cast<Jpeg2000Source*>(user);
  auto left = static_cast<OPJ_OFF_T>(source->bytes.size() - source->at);
  OPJ_OFF_T n = std::clamp<OPJ_OFF_T>(count, 0, left);
  source->at += static_cast<size_t>(n);
  return n == 0 && count > 0 ? -1 : n;
}

void keep(const char* message, void* user) {
  std::string& complaint = static_cast<Jpeg2000Source*>(user)->complaint;
  if (!complaint.empty()) return;
  complaint = message;
  while (complaint.ends_with('\n')) complaint.pop_back();
}

[[noreturn]] void bad_jpeg2000(const Jpeg2000Source& source) {
  fail(ErrorKind::BadInput, "damaged JPEG 2000: {}",
       source.complaint.empty() ? "it cannot be decoded" : source.complaint);
}

// Samples as they are stored, as 8 bits.
uint8_t in_eight_bits(const opj_image_comp_t& plane, OPJ_INT32 sample) {
  const int64_t bits = plane.prec, top = (int64_t{1} << bits) - 1;
  int64_t v = int64_t{sample} + (plane.sgnd ? int64_t{1} << (bits - 1) : 0);
  v = std::clamp<int64_t>(v, 0, top);
  return static_cast<uint8_t>(bits >= 8 ? v >> (bits - 8) : (v * 255 + top / 2) / top);
}

void check(const opj_image_t& image) {
  if (image.numcomps < 1 || image.numcomps > 4) {
    fail(ErrorKind::Unsupported, "a JPEG 2000 picture of {} channels", image.numcomps);
  }
  const opj_image_comp_t& first = image.comps[0];
  for (OPJ_UINT32 c = 0; c < image.numcomps; ++c) {
    const opj_image_comp_t& plane = image.comps[c];
    if (plane.w != first.w || plane.h != first.h) {
      fail(ErrorKind::Unsupported, "a JPEG 2000 picture whose channels differ in size");
    }
    if (plane.prec < 1 || plane.prec > 31) {
      fail(ErrorKind::Unsupported, "a JPEG 2000 picture of {} bits", plane.prec);
    }
  }
  if (image.color_space == OPJ_CLRSPC_SYCC || image.color_space == OPJ_CLRSPC_EYCC ||
      image.color_space == OPJ_CLRSPC_CMYK) {
    fail(ErrorKind::Unsupported, "a JPEG 2000 picture that is neither gray nor RGB");
  }
}

}  // namespace

Tensor decode_jpeg2000(ImageBytes bytes, MemoryBudget& budget) {
  const Jpeg2000Functions& opj = openjpeg();
  Jpeg2000Source source{bytes};
  bool boxes = bytes.size() > 8 && bytes[4] == std::byte{'j'};
  std::unique_ptr<opj_codec_t, void (*)(opj_codec_t*)> codec(
      opj.create_decompress(boxes ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K), opj.destroy_codec);
  std::unique_ptr<opj_stream_t, void (*)(opj_stream_t*)> stream(
      opj.stream_create(size_t{1} << 16, OPJ_TRUE), opj.stream_destroy);
  if (!codec || !stream) fail(ErrorKind::Limit, "no memory to decode a picture");
  opj.stream_set_user_data(stream.get(), &source, nullptr);
  opj.stream_set_user_data_length(stream.get(), bytes.size());
  opj.stream_set_read_function(stream.get(), read);
  opj.stream_set_skip_function(stream.get(), skip);
  opj.stream_set_seek_function(stream.get(), seek);
  opj_dparameters_t parameters;
  opj.set_default_decoder_parameters(&parameters);
  opj.set_error_handler(codec.get(), keep, &source);
  if (!opj.setup_decoder(codec.get(), &parameters)) bad_jpeg2000(source);
  opj_image_t* header = nullptr;
  bool read_all = opj.read_header(stream.get(), codec.get(), &header);
  std::unique_ptr<opj_image_t, void (*)(opj_image_t*)> image(header, opj.image_destroy);
  if (!read_all || !image) bad_jpeg2000(source);
  check(*image);
  const int64_t channels = image->numcomps;
  Tensor t =
      allocate_image(image->comps[0].h, image->comps[0].w, channels, bytes, INT64_MAX, budget);
  // The decoder holds every sample in an int, and once more while it transforms them.
  budget.take(t.size() * int64_t{2 * sizeof(OPJ_INT32)}, "the picture");
  if (!opj.decode(codec.get(), stream.get(), image.get()) ||
      !opj.end_decompress(codec.get(), stream.get())) {
    bad_jpeg2000(source);
  }
  uint8_t* out = t.data<uint8_t>();
  for (int64_t c = 0; c < channels; ++c) {
    const opj_image_comp_t& plane = image->comps[c];
    if (!plane.data || int64_t{plane.w} * plane.h != t.dim(0) * t.dim(1)) bad_jpeg2000(source);
    for (int64_t i = 0; i < t.dim(0) * t.dim(1); ++i) {
      out[i * channels + c] = in_eight_bits(plane, plane.data[i]);
    }
  }
  return t;
}

}  // namespace onnxrun
