#include "kernels/planned_product.h"

#include "base/work.h"

namespace onnxrun {

namespace {

// Few rows share what packing costs; of smaller matrices it costs nothing to speak of, and larger
// ones would take too much memory twice.
constexpr int64_t most_rows_packed = 128, least_packed = 1 << 13, most_packed = 1 << 22;
// Of fewer columns a panel is mostly padding.
constexpr int64_t least_columns = 16;
// So few rows read a B that is not transposed where it lies.
constexpr int64_t most_rows_in_place = 16;

bool is_packed_once(const PlannedProduct& p, const PrepareContext& c, size_t b, DType type) {
  const int64_t elements = p.k * p.n;
  if (!c.constant(b) || c.input(b).size() != elements) return false;
  if (type != DType::Float32 && type != DType::Float64) return false;
  return p.n >= least_columns && p.m <= most_rows_packed &&
         (p.trans_b || p.m > most_rows_in_place) && elements >= least_packed &&
         elements <= most_packed && memory_left() / 2 > bytes_of(type, elements);
}

template <typename T>
Tensor packed_columns(const PlannedProduct& p, const Tensor& b) {
  Tensor packed(dtype_of<T>, {packed_elements<T>(p.k, p.n)});
  pack_columns(matrix_view(b.data<T>(), p.trans_b ? p.k : p.n, p.trans_b), p.k, p.n,
               packed.data<T>());
  return packed;
}

template <typename T>
const GemmKernel<T>* own_kernel(const PlannedProduct& p) {
  return &chosen(gemm_kernels<T>(), p.args<T>(1, nullptr, nullptr, 0, nullptr, nullptr));
}

}  // namespace

void PlannedProduct::choose_kernel(const PrepareContext& c, size_t b, DType type) {
  if (!dtypes::floats.contains(type)) return;
  by_openblas = openblas_takes(c.products(), m, n, k);
  if (by_openblas) return;
  if (is_packed_once(*this, c, b, type)) {
    packed = c.packed(b, trans_b ? "panels of rows" : "panels of columns", [&] {
      return type == DType::Float32 ? packed_columns<float>(*this, *c.constant(b))
                                    : packed_columns<double>(*this, *c.constant(b));
    });
  } else if (type == DType::Float64) {
    own = {nullptr, own_kernel<double>(*this)};
  } else {
    own = {own_kernel<float>(*this), nullptr};
  }
}

std::string_view PlannedProduct::kernel() const {
  if (by_openblas) return "openblas";
  if (packed.defined()) return "B packed once";
  const auto [for_floats, for_doubles] = own;
  return for_floats ? for_floats->name : for_doubles ? for_doubles->name : "";
}

}  // namespace onnxrun
