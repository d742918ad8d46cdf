// NonZero.
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/data_movement.h"

namespace onnxrun {

namespace {

template <typename T>
bool is_zero(const T& x) {
  if constexpr (std::is_same_v<T, std::string>) {
    return x.empty();
  } else if constexpr (std::is_same_v<T, ComputeType<T>>) {
    return x == T(0);
  } else {
    return static_cast<float>(x) == 0;
  }
}

class NonZero final : public Op {
 public:
  void infer(InferContext& c) const override {
    c.set_output(0, DType::Int64, Shape{c.rank(0) < 0 ? Dim() : Dim(c.rank(0)), Dim()});
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    dispatch<float, double, int64_t, int32_t, float16, bfloat16, uint8_t, int8_t, uint16_t, int16_t,
             uint32_t, uint64_t, bool, std::string, std::complex<float>, std::complex<double>>(
        x.dtype(), [&]<typename T>() {
          if constexpr (std::is_same_v<T, bool>) {
            find(c, x.data<uint8_t>(), x);
          } else {
            find(c, x.data<T>(), x);
          }
        });
  }

 private:
  template <typename T>
  static void find(RunContext& c, const T* data, const Tensor& x) {
    int64_t count = 0;
    for (int64_t i = 0; i < x.size(); ++i) count += !is_zero(data[i]);
    int64_t* out = c.allocate(0, DType::Int64, {x.rank(), count}).data<int64_t>();
    std::vector<int64_t> strides = dense_strides(x.dims());
    int64_t column = 0;
    for (int64_t i = 0; i < x.size(); ++i) {
      if (is_zero(data[i])) continue;
      int64_t rest = i;
      for (size_t axis = 0; axis < strides.size(); ++axis) {
        out[static_cast<int64_t>(axis) * count + column] = rest / strides[axis];
        rest %= strides[axis];
      }
      ++column;
    }
  }
};

}  // namespace

void register_non_zero(OpRegistry& r) {
  r.add<NonZero>({.name = "NonZero",
                  .doc = "the indices of all elements that are not zero, one a column",
                  .since = {9, 13},
                  .inputs = {{"X", "T"}},
                  .outputs = {{"Y", "tensor(int64)"}},
                  .types = {{"T", dtypes::basic}, {"tensor(int64)", DType::Int64}},
                  .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
