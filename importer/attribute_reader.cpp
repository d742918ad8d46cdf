#include "attribute_reader.h"

#include "base/error.h"
#include "type_reader.h"

namespace onnxrun {

namespace {

using onnx::AttributeProto;

AttributeProto::AttributeType guess_kind(const AttributeProto& p) {
  if (p.has_f()) return AttributeProto::FLOAT;
  if (p.has_i()) return AttributeProto::INT;
  if (p.has_s()) return AttributeProto::STRING;
  if (p.has_t()) return AttributeProto::TENSOR;
  if (p.has_g()) return AttributeProto::GRAPH;
  if (p.floats_size() > 0) return AttributeProto::FLOATS;
  if (p.ints_size() > 0) return AttributeProto::INTS;
  if (p.strings_size() > 0) return AttributeProto::STRINGS;
  if (p.tensors_size() > 0) return AttributeProto::TENSORS;
  return AttributeProto::UNDEFINED;
}

template <typename Protos, typename F>
auto list_of(const Protos& protos, F&& convert) {
  std::vector<decltype(convert(protos.Get(0)))> list;
  for (const auto& p : protos) list.push_back(convert(p));
  return list;
}

}  // namespace

AttributeProto::AttributeType kind_of(const AttributeProto& proto) {
  return proto.type() == AttributeProto::UNDEFINED ? guess_kind(proto) : proto.type();
}

AttributeValue read_attribute(const AttributeProto& proto, const TensorDecoder& decoder) {
  auto tensor = [&](const auto& p) { return decoder.decode(p); };
  switch (kind_of(proto)) {
    case AttributeProto::FLOAT:
      return proto.f();
    case AttributeProto::INT:
      return int64_t{proto.i()};
    case AttributeProto::STRING:
      return proto.s();
    case AttributeProto::TENSOR:
      return tensor(proto.t());
    case AttributeProto::SPARSE_TENSOR:
      return tensor(proto.sparse_tensor());
    case AttributeProto::TYPE_PROTO:
      return read_type(proto.tp());
    case AttributeProto::FLOATS:
      return std::vector<float>(proto.floats().begin(), proto.floats().end());
    case AttributeProto::INTS:
      return std::vector<int64_t>(proto.ints().begin(), proto.ints().end());
    case AttributeProto::STRINGS:
      return std::vector<std::string>(proto.strings().begin(), proto.strings().end());
    case AttributeProto::TENSORS:
      return list_of(proto.tensors(), tensor);
    case AttributeProto::SPARSE_TENSORS:
      return list_of(proto.sparse_tensors(), tensor);
    case AttributeProto::TYPE_PROTOS:
      return list_of(proto.type_protos(), [](const onnx::TypeProto& p) { return read_type(p); });
    case AttributeProto::GRAPH:
    case AttributeProto::GRAPHS:
      fail(ErrorKind::Unsupported, "attribute '{}' is a subgraph that the operator does not have",
           proto.name());
    default:
      break;
  }
  fail(ErrorKind::BadModel, "attribute '{}' has no value", proto.name());
}

}  // namespace onnxrun
