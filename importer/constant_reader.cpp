#include "attribute_reader.h"
#include "base/error.h"
#include "graph_reader.h"
#include "proto_fields.h"

namespace onnxrun {

namespace {

using onnx::AttributeProto;

template <typename T>
Tensor list_tensor(const google::protobuf::RepeatedField<T>& values) {
  return Tensor::of<T>({values.size()}, {values.data(), static_cast<size_t>(values.size())});
}

// value_float, value_ints and the like of Constant.
Tensor scalar_or_list(const AttributeProto& a) {
  switch (kind_of(a)) {
    case AttributeProto::FLOAT:
      return Tensor::scalar(a.f());
    case AttributeProto::INT:
      return Tensor::scalar(int64_t{a.i()});
    case AttributeProto::STRING:
      return Tensor::scalar(a.s());
    case AttributeProto::FLOATS:
      return list_tensor(a.floats());
    case AttributeProto::INTS:
      return Tensor::of<int64_t>({a.ints_size()},
                                 std::vector<int64_t>(a.ints().begin(), a.ints().end()));
    case AttributeProto::STRINGS:
      return Tensor::of<std::string>(
          {a.strings_size()}, std::vector<std::string>(a.strings().begin(), a.strings().end()));
    default:
      fail(ErrorKind::BadModel, "attribute '{}' is no constant", a.name());
  }
}

DType dtype_of_kind(const AttributeProto& a) {
  switch (kind_of(a)) {
    case AttributeProto::FLOAT:
    case AttributeProto::FLOATS:
      return DType::Float32;
    case AttributeProto::INT:
    case AttributeProto::INTS:
      return DType::Int64;
    default:
      return DType::String;
  }
}

AttributeProto::AttributeType expected_kind(const std::string& name) {
  static const std::map<std::string, AttributeProto::AttributeType> kinds = {
      {"value", AttributeProto::TENSOR},        {"sparse_value", AttributeProto::SPARSE_TENSOR},
      {"value_float", AttributeProto::FLOAT},   {"value_floats", AttributeProto::FLOATS},
      {"value_int", AttributeProto::INT},       {"value_ints", AttributeProto::INTS},
      {"value_string", AttributeProto::STRING}, {"value_strings", AttributeProto::STRINGS}};
  auto it = kinds.find(name);
  if (it == kinds.end()) fail(ErrorKind::Unsupported, "attribute '{}' is not known", name);
  return it->second;
}

}  // namespace

GraphReader::Payload GraphReader::payload_of(const onnx::TensorProto& tensor, Path path) const {
  const ModelFile::RawData* raw = nullptr;
  bool initializer = path.size() == 2 && path[0].first == onnx::ModelProto::kGraphFieldNumber &&
                     path[1].first == onnx::GraphProto::kInitializerFieldNumber;
  if (file_ && initializer) raw = file_->raw_data(path[1].second);
  return {&tensor, TensorDecoder::dtype_of(tensor), std::move(path), [this, &tensor, raw] {
            if (!raw) return decoder_.decode(tensor);
            TensorDecoder::RawData data = {
                raw->bytes, [this, raw](std::span<std::byte> to) { file_->read(*raw, to); }};
            return decoder_.decode(tensor, &data);
          }};
}

GraphReader::Payload GraphReader::payload_of(const onnx::SparseTensorProto& tensor,
                                             Path path) const {
  return {&tensor, TensorDecoder::dtype_of(tensor.values()), std::move(path),
          [this, &tensor] { return decoder_.decode(tensor); }};
}

GraphReader::Payload GraphReader::payload_of(const BoundAttribute& attribute) const {
  const AttributeProto& a = *attribute.proto;
  if (kind_of(a) == AttributeProto::TENSOR) {
    return payload_of(a.t(), attribute.path + std::pair(AttributeProto::kTFieldNumber, 0));
  }
  if (kind_of(a) == AttributeProto::SPARSE_TENSOR) {
    return payload_of(a.sparse_tensor(),
                      attribute.path + std::pair(AttributeProto::kSparseTensorFieldNumber, 0));
  }
  return {&a, dtype_of_kind(a), attribute.path, [&a] { return scalar_or_list(a); }};
}

ValueId GraphReader::place_constant(Scope& scope, const std::string& name, const Payload& payload) {
  // Weights of subgraphs and functions must be found and trained, so they are the main graph's.
  Frame& home = is_differentiable(payload.dtype) ? main_ : scope.frame;
  ValueId& id = constants_.try_emplace({home.serial, payload.key}, no_value).first->second;
  if (id == no_value) {
    bool here = &home == &scope.frame && scope.prefix.empty();
    std::string own = here ? scope.own_name(name) : home.fresh(scope.hoist_prefix + name);
    Tensor tensor = payload.decode();
    DType dtype = tensor.dtype();
    id = home.graph.add_initializer(own, std::move(tensor));
    home.graph.initializers.at(id).stored = static_cast<int>(source_.stored.size());
    home.fix(id);
    source_.stored.push_back({own, payload.path, dtype});
  }
  return scope.frame.bring(home, id);
}

void GraphReader::read_constant(const onnx::NodeProto& node, Scope& scope, const Path& path) {
  std::optional<BoundAttribute> value;
  for (int i = 0; i < node.attribute_size(); ++i) {
    const AttributeProto& a = node.attribute(i);
    auto kind = expected_kind(a.name());
    auto bound = resolve(a, scope, path + std::pair(onnx::NodeProto::kAttributeFieldNumber, i));
    if (!bound) continue;
    if (value) fail(ErrorKind::BadModel, "more than one value is given");
    if (kind_of(*bound->proto) != kind) {
      fail(ErrorKind::BadModel, "attribute '{}' is of kind {}, expected {}", a.name(),
           AttributeProto::AttributeType_Name(kind_of(*bound->proto)),
           AttributeProto::AttributeType_Name(kind));
    }
    value = bound;
  }
  if (!value) fail(ErrorKind::BadModel, "no value is given");
  if (node.input_size() != 0 || node.output_size() != 1 || node.output(0).empty()) {
    fail(ErrorKind::BadModel, "{} inputs and {} outputs, expected 0 and 1", node.input_size(),
         node.output_size());
  }
  const std::string& name = node.output(0);
  ValueId id = place_constant(scope, name, payload_of(*value));
  apply_declared_type(scope, name, id);
  scope.define(name, id);
}

}  // namespace onnxrun
