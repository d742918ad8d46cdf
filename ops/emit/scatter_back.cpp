#include "emit/scatter_back.h"

namespace onnxrun {

ValueId scatter_back(GraphBuilder& b, ValueId shape, ValueId dy,
                     const std::function<ValueId(ValueId numbers)>& move) {
  ValueId count = b.add("ReduceProd", {shape}, {{"keepdims", int64_t{0}}});
  ValueId numbers = b.add("Range", {b.int_scalar(0), count, b.int_scalar(1)});
  ValueId flat = b.ints({-1});
  ValueId places = b.reshape(move(b.reshape(numbers, shape)), flat);
  ValueId zeros = b.add("ConstantOfShape", {b.reshape(count, b.ints({1}))},
                        {{"value", convert(Tensor::of<float>({1}, {0.0f}), b.dtype(dy))}});
  ValueId sum = b.add("ScatterElements", {zeros, places, b.reshape(dy, flat)},
                      {{"reduction", std::string("add")}});
  return b.reshape(sum, shape);
}

}  // namespace onnxrun
