#include "type_reader.h"

#include "base/error.h"
#include "base/limits.h"

namespace onnxrun {

namespace {

Dim read_dim(const onnx::TensorShapeProto::Dimension& dim) {
  if (dim.has_dim_value()) {
    if (dim.dim_value() == -1) return Dim();  // as old exporters write what is not known
    if (dim.dim_value() < 0) {
      fail(ErrorKind::BadModel, "a dimension is {}, lengths are not negative", dim.dim_value());
    }
    return Dim(dim.dim_value());
  }
  return dim.dim_param().empty() ? Dim() : Dim::symbol(dim.dim_param());
}

Type read_tensor_type(const onnx::TypeProto::Tensor& proto) {
  std::optional<Shape> shape;
  if (proto.has_shape()) {
    check_rank(static_cast<size_t>(proto.shape().dim_size()));
    shape.emplace();
    for (const auto& dim : proto.shape().dim()) shape->push_back(read_dim(dim));
  }
  if (proto.elem_type() == 0) return Type::tensor(DType::Undefined, std::move(shape));
  return Type::tensor(read_dtype(proto.elem_type()), std::move(shape));
}

}  // namespace

DType read_dtype(int32_t number) {
  if (number <= 0 || number >= dtype_count) {
    fail(ErrorKind::Unsupported, "element type {} is not known; known are 1 to {}", number,
         dtype_count - 1);
  }
  return static_cast<DType>(number);
}

Type read_type(const onnx::TypeProto& proto) {
  switch (proto.value_case()) {
    case onnx::TypeProto::kTensorType:
      return read_tensor_type(proto.tensor_type());
    case onnx::TypeProto::kSequenceType:
      return Type::sequence(read_type(proto.sequence_type().elem_type()));
    case onnx::TypeProto::kOptionalType:
      return Type::optional(read_type(proto.optional_type().elem_type()));
    case onnx::TypeProto::kMapType:
      return Type::map(read_dtype(proto.map_type().key_type()),
                       read_type(proto.map_type().value_type()));
    case onnx::TypeProto::VALUE_NOT_SET:
      return {};
    default:
      fail(ErrorKind::Unsupported, "sparse tensor and opaque types are not supported");
  }
}

Type read_type(const onnx::ValueInfoProto& info) {
  try {
    return read_type(info.type());
  } catch (const Error& e) {
    throw e.in("value '" + info.name() + "'");
  }
}

}  // namespace onnxrun
