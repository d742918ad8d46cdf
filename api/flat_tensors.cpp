#include "onnxrun/flat_tensors.h"

#include <algorithm>
#include <cstddef>

#include "base/shape.h"

namespace onnxrun {

Tensor FlatTensors::part(size_t k) const {
  Tensor all = values;
  std::byte* at = all.raw() + bytes_of(all.dtype(), parts[k].offset);
  return Tensor::wrap(at, all.dtype(), parts[k].dims, all.owner());
}

FlatTensors FlatTensors::zeros(DType dtype, const std::vector<std::string>& names,
                               const std::vector<Dims>& dims) {
  const int64_t step = 64 / std::max<int64_t>(1, bytes_of(dtype, 1));
  FlatTensors flat;
  int64_t size = 0;
  for (size_t k = 0; k < names.size(); ++k) {
    flat.parts.push_back({names[k], size, dims[k]});
    size += (element_count(std::span(dims[k])) + step - 1) / step * step;
  }
  flat.values = Tensor(dtype, {size});
  std::fill_n(flat.values.raw(), flat.values.bytes(), std::byte{0});
  return flat;
}

}  // namespace onnxrun
