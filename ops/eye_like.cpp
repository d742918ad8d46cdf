// EyeLike.
#include <algorithm>

#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/data_movement.h"

namespace onnxrun {

namespace {

class EyeLike final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("dtype", dtype_, "element type; the input's without");
    v.visit("k", k_, "which diagonal is one");
  }

  void infer(InferContext& c) const override {
    if (c.shape(0) && c.rank(0) != 2) c.reject("{}, expected a matrix", c.describe_input(0));
    DType type = dtype_ == DType::Undefined ? c.dtype(0) : dtype_;
    if (!(dtypes::numeric | dtypes::boolean).contains(type)) {
      c.reject("attribute 'dtype' is {}, expected a number's type", to_string(type));
    }
    c.set_output(0, type, c.type(0).shape);
  }

  void run(RunContext& c) const override {
    Tensor& y = c.output(0);
    if (y.size() == 0) return;
    const int64_t rows = y.dim(0), columns = y.dim(1);
    std::fill_n(y.raw(), y.bytes(), std::byte{0});
    if (k_ <= -rows || k_ >= columns) return;
    Tensor one = convert(Tensor::scalar(1.0f), y.dtype());
    dispatch_storage(y.dtype(), [&]<typename T>() {
      T* out = storage<T>(y);
      for (int64_t i = std::max<int64_t>(0, -k_); i < std::min(rows, columns - k_); ++i) {
        out[i * columns + i + k_] = *storage<T>(one);
      }
    });
  }

 private:
  DType dtype_ = DType::Undefined;
  int64_t k_ = 0;
};

}  // namespace

void register_eye_like(OpRegistry& r) {
  constexpr DTypeSet types = dtypes::numeric | dtypes::boolean;
  r.add<EyeLike>({.name = "EyeLike",
                  .doc = "ones on a diagonal of a matrix of the input's shape, zeros elsewhere",
                  .since = {9, 22},
                  .inputs = {{"input", "T1"}},
                  .outputs = {{"output", "T2"}},
                  .types = {{"T1", types}, {"T2", types}},
                  .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
