#include "tensor_decoder.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "type_reader.h"

namespace onnxrun {

namespace {

static_assert(std::endian::native == std::endian::little,
              "raw_data is little endian and copied as it is");

Dims read_dims(const google::protobuf::RepeatedField<int64_t>& from) {
  Dims dims(from.begin(), from.end());
  bool empty = false;
  for (int64_t d : dims) {
    if (d < 0) fail(ErrorKind::BadModel, "a dimension is {}, lengths are not negative", d);
    empty = empty || d == 0;
  }
  int64_t count = 1;
  for (int64_t d : dims) {
    if (!empty && __builtin_mul_overflow(count, d, &count)) {
      fail(ErrorKind::BadModel, "dimensions {} have too many elements", to_string(dims));
    }
  }
  return dims;
}

int count_fields(const onnx::TensorProto& p, int64_t raw_bytes) {
  return (raw_bytes > 0) + (p.float_data_size() > 0) + (p.int32_data_size() > 0) +
         (p.string_data_size() > 0) + (p.int64_data_size() > 0) + (p.double_data_size() > 0) +
         (p.uint64_data_size() > 0);
}

void require_count(std::string_view field, int64_t found, int64_t elements, int64_t parts) {
  if (found % parts != 0 || found / parts != elements) {
    fail(ErrorKind::BadModel, "{} has {} entries, type and shape need {} times {}", field, found,
         elements, parts);
  }
}

// Before anything is allocated: as much data as dtype and element count need must be there.
void check_data(const onnx::TensorProto& p, int64_t raw_bytes, DType dtype, int64_t count,
                int64_t bytes) {
  if (raw_bytes > 0) {
    if (dtype == DType::String) fail(ErrorKind::BadModel, "strings cannot be in raw_data");
    if (raw_bytes < bytes) {
      fail(ErrorKind::BadModel, "raw_data has {} bytes, type and shape need {}", raw_bytes, bytes);
    }
    return;
  }
  int parts = is_complex(dtype) ? 2 : 1;
  switch (dtype) {
    case DType::String:
      return require_count("string_data", p.string_data_size(), count, 1);
    case DType::Float32:
    case DType::Complex64:
      return require_count("float_data", p.float_data_size(), count, parts);
    case DType::Float64:
    case DType::Complex128:
      return require_count("double_data", p.double_data_size(), count, parts);
    case DType::Int64:
      return require_count("int64_data", p.int64_data_size(), count, 1);
    case DType::UInt32:
    case DType::UInt64:
      return require_count("uint64_data", p.uint64_data_size(), count, 1);
    default:
      return require_count("int32_data", p.int32_data_size(), bits_of(dtype) < 6 ? bytes : count,
                           1);
  }
}

template <typename T>
void copy_field(const google::protobuf::RepeatedField<T>& from, Tensor& to) {
  std::memcpy(to.raw(), from.data(), static_cast<size_t>(to.bytes()));
}

[[noreturn]] void fail_int32(int32_t value, DType dtype) {
  fail(ErrorKind::BadModel, "int32_data holds {}, which is no {}", value, to_string(dtype));
}

// int32_data holds every type of at most 32 bits: integers as they are, floats as bit patterns, 4-
// and 2-bit elements as packed bytes, 6-bit ones each by itself.
void copy_int32(const google::protobuf::RepeatedField<int32_t>& from, Tensor& to) {
  if (bits_of(to.dtype()) == 6) {
    for (int i = 0; i < from.size(); ++i) {
      if (from.Get(i) < 0 || from.Get(i) > 63) fail_int32(from.Get(i), to.dtype());
      set_packed_bits(to.raw(), i, 6, static_cast<uint8_t>(from.Get(i)));
    }
    return;
  }
  int unit = std::max(bits_of(to.dtype()), 8);
  int64_t low = -(int64_t{1} << (unit - 1)), high = (int64_t{1} << unit) - 1;
  for (int64_t i = 0; i < from.size(); ++i) {
    int32_t value = from.Get(static_cast<int>(i));
    if (unit < 32 && (value < low || value > high)) fail_int32(value, to.dtype());
    std::memcpy(to.raw() + i * (unit / 8), &value, static_cast<size_t>(unit / 8));
  }
}

void copy_uint64(const google::protobuf::RepeatedField<uint64_t>& from, Tensor& to) {
  if (to.dtype() == DType::UInt64) return copy_field(from, to);
  for (int64_t i = 0; i < to.size(); ++i) {
    uint64_t value = from.Get(static_cast<int>(i));
    if (value > UINT32_MAX)
      fail(ErrorKind::BadModel, "uint64_data holds {}, which is no uint32", value);
    to.data<uint32_t>()[i] = static_cast<uint32_t>(value);
  }
}

void copy_typed(const onnx::TensorProto& p, Tensor& to) {
  switch (to.dtype()) {
    case DType::Float32:
    case DType::Complex64:
      return copy_field(p.float_data(), to);
    case DType::Float64:
    case DType::Complex128:
      return copy_field(p.double_data(), to);
    case DType::Int64:
      return copy_field(p.int64_data(), to);
    case DType::UInt32:
    case DType::UInt64:
      return copy_uint64(p.uint64_data(), to);
    default:
      return copy_int32(p.int32_data(), to);
  }
}

// Bytes that are neither 0 nor 1 are no bool of C++; bits past the last packed element are none of
// the tensor.
void normalize(Tensor& t) {
  if (t.dtype() == DType::Bool) {
    for (uint8_t& b : std::span(t.data<uint8_t>(), static_cast<size_t>(t.size()))) b = b != 0;
  }
  int64_t used = t.size() * bits_of(t.dtype()) % 8;
  if (used > 0) t.raw()[t.bytes() - 1] &= static_cast<std::byte>((1 << used) - 1);
}

Error named(const Error& e, const std::string& name) { return e.in("tensor '" + name + "'"); }

}  // namespace

DType TensorDecoder::dtype_of(const onnx::TensorProto& proto) {
  try {
    return read_dtype(proto.data_type());
  } catch (const Error& e) {
    throw named(e, proto.name());
  }
}

Tensor TensorDecoder::decode(const onnx::TensorProto& proto, const RawData* raw) const {
  try {
    return decode_checked(proto, raw);
  } catch (const Error& e) {
    throw named(e, proto.name());
  }
}

Tensor TensorDecoder::decode(const onnx::SparseTensorProto& proto) const {
  try {
    return decode_sparse(proto);
  } catch (const Error& e) {
    throw named(e, proto.values().name());
  }
}

Tensor TensorDecoder::decode_checked(const onnx::TensorProto& proto, const RawData* raw) const {
  DType dtype = read_dtype(proto.data_type());
  Dims dims = read_dims(proto.dims());
  if (proto.has_segment()) fail(ErrorKind::Unsupported, "tensors in segments are not supported");
  int64_t count = element_count(dims);
  int64_t bytes = bytes_of(dtype, count);
  bool external = proto.data_location() == onnx::TensorProto::EXTERNAL;
  int64_t raw_bytes = raw ? raw->bytes : static_cast<int64_t>(proto.raw_data().size());
  int fields = count_fields(proto, raw_bytes);
  if (external && fields > 0) fail(ErrorKind::BadModel, "the tensor is external but has data, too");
  if (external && dtype == DType::String) {
    fail(ErrorKind::BadModel, "strings cannot be external data");
  }
  if (!external && fields != (count > 0)) {
    fail(ErrorKind::BadModel, "{} data fields are set for {} elements, expected {}", fields, count,
         count > 0 ? 1 : 0);
  }

  if (!external && count > 0) check_data(proto, raw_bytes, dtype, count, bytes);
  if (dtype == DType::String) {
    int64_t text = 0;
    for (const std::string& s : proto.string_data()) text += static_cast<int64_t>(s.size());
    budget_.take(text + count * static_cast<int64_t>(sizeof(std::string)), "the tensor");
    Tensor tensor(dtype, std::move(dims));
    std::copy(proto.string_data().begin(), proto.string_data().end(), tensor.data<std::string>());
    return tensor;
  }
  if (external) {
    if (!external_) fail(ErrorKind::BadModel, "external data is not allowed here");
    ExternalDataReader::Extent extent = external_->locate(proto, bytes);
    budget_.take(bytes, "the tensor");
    Tensor tensor(dtype, std::move(dims));
    external_->read(extent, tensor.raw());
    normalize(tensor);
    return tensor;
  }
  budget_.take(bytes, "the tensor");
  Tensor tensor(dtype, std::move(dims));
  if (count == 0) return tensor;
  if (raw) {
    raw->read({tensor.raw(), static_cast<size_t>(bytes)});
  } else if (raw_bytes > 0) {
    std::memcpy(tensor.raw(), proto.raw_data().data(), static_cast<size_t>(bytes));
  } else {
    copy_typed(proto, tensor);
  }
  normalize(tensor);
  return tensor;
}

Tensor TensorDecoder::decode_sparse(const onnx::SparseTensorProto& proto) const {
  Dims dims = read_dims(proto.dims());
  Tensor values = decode_checked(proto.values());
  Tensor indices = decode_checked(proto.indices());
  int64_t rank = static_cast<int64_t>(dims.size()), count = values.size();
  bool linear = indices.rank() == 1;
  if (indices.dtype() != DType::Int64 || values.rank() != 1 || bits_of(values.dtype()) < 8) {
    fail(ErrorKind::BadModel,
         "sparse values must be a list and their indices int64, found {} and {}",
         values.type_text(), indices.type_text());
  }
  if (indices.dims() != (linear ? Dims{count} : Dims{count, rank})) {
    fail(ErrorKind::BadModel, "sparse indices are {}, {} or {} was expected", indices.type_text(),
         to_string(Dims{count}), to_string(Dims{count, rank}));
  }
  budget_.take(bytes_of(values.dtype(), element_count(dims)), "the tensor");
  Tensor dense(values.dtype(), dims);
  std::memset(dense.raw(), 0, static_cast<size_t>(dense.bytes()));

  int64_t size = bytes_of(values.dtype(), 1), previous = -1;
  const int64_t* index = indices.data<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    if (linear) {
      at = index[i];
    } else {
      for (int64_t axis = 0; axis < rank; ++axis) {
        int64_t k = index[i * rank + axis], length = dims[static_cast<size_t>(axis)];
        if (k < 0 || k >= length) {
          fail(ErrorKind::BadModel, "sparse index {} of axis {} is outside [0, {})", k, axis,
               length);
        }
        at = at * length + k;
      }
    }
    if (at <= previous || at >= dense.size()) {
      fail(ErrorKind::BadModel, "sparse indices must ascend below {}, found {} after {}",
           dense.size(), at, previous);
    }
    std::memcpy(dense.raw() + at * size, values.raw() + i * size, static_cast<size_t>(size));
    previous = at;
  }
  return dense;
}

}  // namespace onnxrun
