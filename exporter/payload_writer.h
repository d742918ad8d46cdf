// Puts other elements into stored tensors and keeps everything else of their messages.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace onnxrun {

// Where a TensorProto keeps its elements.
struct TensorStorage {
  std::string name;
  bool external = false;
  std::string location;
  int64_t offset = 0;
  int64_t length = 0;  // 0 if it is not said
};
TensorStorage storage_of(std::string_view tensor_proto);

// The TensorProto with `value` in the field that held its elements. Same type and element count are
// the caller's duty; throws BadModel if the field holds another number of elements.
std::string with_elements(std::string_view tensor_proto, const Tensor& value);

// The SparseTensorProto with the elements of the dense `value` at its indices. Throws CannotWrite
// if an element that has no place there is not zero.
std::string with_sparse_elements(std::string_view sparse_proto, const Tensor& value);

// The AttributeProto (value_float and the like of a Constant) with other elements.
std::string with_attribute_elements(std::string_view attribute_proto, const Tensor& value);

// The TensorProto with the `location` of its external data renamed; locations that `names` does not
// have stay.
std::string with_location(std::string_view tensor_proto,
                          const std::map<std::string, std::string>& names);

}  // namespace onnxrun
