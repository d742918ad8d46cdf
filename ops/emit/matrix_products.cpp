#include "emit/matrix_products.h"

namespace onnxrun {

void check_inner(const InferContext& c, const Dim& a, const Dim& b) {
  if (!a.is_known() || !b.is_known() || a == b) return;
  c.reject("inner dimensions differ: {}, {}", c.describe_input(0), c.describe_input(1));
}

ValueId emit_rows(GraphBuilder& b, ValueId v) {
  if (b.rank(v) == 2) return v;
  return b.add("Flatten", {v}, {{"axis", int64_t{-1}}});
}

ValueId emit_product(GraphBuilder& b, ValueId a, bool trans_a, ValueId other, bool trans_b,
                     float alpha) {
  if (b.rank(a) == 2 && b.rank(other) == 2) {
    return b.add("Gemm", {a, other},
                 {{"transA", int64_t{trans_a}}, {"transB", int64_t{trans_b}}, {"alpha", alpha}});
  }
  ValueId y = b.add("onnxrun.MatMulT", {a, other},
                    {{"transA", int64_t{trans_a}}, {"transB", int64_t{trans_b}}});
  return alpha == 1 ? y : b.add("Mul", {y, b.scalar_like(alpha, y)});
}

}  // namespace onnxrun
