#include "message_size.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>
#include <google/protobuf/wire_format_lite.h>

#include <map>

namespace onnxrun {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;

// Of what the heap takes for a block beside its contents, and a pointer to it.
constexpr int64_t block_bytes = 24;
// Lists grow by doubling: while one moves, both are there.
constexpr int64_t growth = 3;

class SizeReader {
 public:
  SizeReader(std::string_view bytes, int depth)
      : in_(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size())),
        depth_(depth) {
    in_.SetTotalBytesLimit(INT32_MAX);
  }

  int64_t size_of(const Descriptor& type) {
    read(type, 0);
    return total_;
  }

 private:
  // False where something cannot be read.
  bool read(const Descriptor& type, int depth) {
    total_ += empty_size(type);
    while (uint32_t tag = in_.ReadTag()) {
      const FieldDescriptor* field = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
      if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        uint32_t length = 0;
        if (!in_.ReadVarint32(&length)) return false;
        if (!(field ? read_bytes(*field, length, depth) : skip_unknown(length))) return false;
        continue;
      }
      total_ += field ? (field->is_repeated() ? growth * 8 : 0) : block_bytes;
      if (!WireFormatLite::SkipField(&in_, tag)) return false;
    }
    return true;
  }

  bool skip_unknown(uint32_t length) {
    total_ += 2 * block_bytes + 32 + length;
    return skip(length);
  }

  bool read_bytes(const FieldDescriptor& field, uint32_t length, int depth) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        total_ += 2 * block_bytes + 32 + length;
        return skip(length);
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        if (depth == depth_) return false;
        auto outer = in_.PushLimit(static_cast<int>(length));
        total_ += block_bytes;
        bool good = read(*field.message_type(), depth + 1) && in_.BytesUntilLimit() == 0;
        in_.PopLimit(outer);
        return good;
      }
      case FieldDescriptor::CPPTYPE_FLOAT:
      case FieldDescriptor::CPPTYPE_DOUBLE:
        total_ += 2 * int64_t{length};
        return skip(length);
      default:  // packed numbers, of a byte each at least
        total_ += 2 * 8 * int64_t{length};
        return skip(length);
    }
  }

  bool skip(uint32_t length) { return length <= INT32_MAX && in_.Skip(static_cast<int>(length)); }

  int64_t empty_size(const Descriptor& type) {
    int64_t& size = sizes_[&type];
    if (size == 0) {
      size = static_cast<int64_t>(google::protobuf::MessageFactory::generated_factory()
                                      ->GetPrototype(&type)
                                      ->SpaceUsedLong());
    }
    return size;
  }

  google::protobuf::io::CodedInputStream in_;
  int depth_;
  std::map<const Descriptor*, int64_t> sizes_;
  int64_t total_ = 0;
};

}  // namespace

int64_t parsed_size(std::string_view bytes, const Descriptor& type, int depth) {
  return SizeReader(bytes, depth).size_of(type);
}

}  // namespace onnxrun
