// TensorProto -> Tensor, for every element type and every way of storing it.
#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <span>

#include "external_data.h"
#include "tensor/byte_source.h"
#include "tensor/tensor.h"

namespace onnxrun {

class TensorDecoder {
 public:
  // `external` may be null: external data is an error then. Both must outlive the decoder.
  TensorDecoder(MemoryBudget& budget, ExternalDataReader* external)
      : budget_(budget), external_(external) {}

  // The element type that decode() gives; throws Unsupported if there is none of that number.
  static DType dtype_of(const onnx::TensorProto& proto);
  // raw_data that is not in the message: so many bytes, of which the first are read.
  struct RawData {
    int64_t bytes = 0;
    std::function<void(std::span<std::byte> to)> read;
  };

  // Throws BadModel if the data do not fit type and dims, naming the tensor.
  Tensor decode(const onnx::TensorProto& proto, const RawData* raw = nullptr) const;
  // The dense tensor, zeros where nothing is stored.
  Tensor decode(const onnx::SparseTensorProto& proto) const;

 private:
  Tensor decode_checked(const onnx::TensorProto& proto, const RawData* raw = nullptr) const;
  Tensor decode_sparse(const onnx::SparseTensorProto& proto) const;

  MemoryBudget& budget_;
  ExternalDataReader* external_;
};

}  // namespace onnxrun
