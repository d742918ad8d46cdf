// Trilu.
#include <algorithm>

#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/data_movement.h"
#include "kernels/scalar.h"

namespace onnxrun {

namespace {

class Trilu final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("upper", upper_,
            "keep what is on and above the diagonal, else what is on and below it");
  }

  void infer(InferContext& c) const override {
    if (c.shape(0) && c.rank(0) < 2) c.reject("{}, expected matrices", c.describe_input(0));
    infer_same(c);
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    const int64_t rows = x.dim(x.rank() - 2), columns = x.dim(x.rank() - 1);
    if (x.size() == 0) return;
    // Diagonals beyond the corners are all alike.
    int64_t k =
        c.has_input(1) ? std::clamp(scalar_of<int64_t>(c.input(1), "k"), -rows, columns) : 0;
    dispatch_storage(x.dtype(), [&]<typename T>() {
      const T* in = storage<T>(x);
      T* out = storage<T>(c.output(0));
      parallel_for(x.size() / columns, std::max<int64_t>(1, 16384 / columns),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t r = begin; r < end; ++r) {
                       int64_t diagonal =
                           std::clamp<int64_t>(r % rows + k + (upper_ ? 0 : 1), 0, columns);
                       const T* from = in + r * columns;
                       T* to = out + r * columns;
                       int64_t first = upper_ ? diagonal : 0, last = upper_ ? columns : diagonal;
                       std::fill(to, to + first, T{});
                       std::copy(from + first, from + last, to + first);
                       std::fill(to + last, to + columns, T{});
                     }
                   });
    });
  }

  void gradient(GradientContext& g) const override {
    if (g.wants(0)) g.set(0, g.add("Trilu", {g.grad(0), g.input(1)}, {{"upper", int64_t{upper_}}}));
  }

 private:
  bool upper_ = true;
};

}  // namespace

void register_trilu(OpRegistry& r) {
  r.add<Trilu>({.name = "Trilu",
                .doc = "the upper or lower triangle of matrices, zero elsewhere",
                .since = {14},
                .inputs = {{"input", "T"},
                           {"k", "tensor(int64)", Param::Kind::Optional, InputRole::Setting}},
                .outputs = {{"output", "T"}},
                .types = {{"T", dtypes::basic}, {"tensor(int64)", DType::Int64}},
                .kind = OpKind::Move});
}

}  // namespace onnxrun
