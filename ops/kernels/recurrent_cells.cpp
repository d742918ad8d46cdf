#include "kernels/recurrent_cells.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/recurrent_cells.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/recurrent_activations-inl.h"

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

template <typename T>
using Tag = hn::ScalableTag<T>;
template <typename T>
using Vector = hn::Vec<Tag<T>>;

// Access to one vector's worth of a row, at element `j`; if `partial`, only to `count` elements.
template <bool partial, typename T>
struct Lanes {
  int64_t j;
  size_t count;

  HWY_INLINE Vector<T> load(const T* row) const {
    if constexpr (partial) return load_first(Tag<T>(), row + j, count);
    return hn::LoadU(Tag<T>(), row + j);
  }
  HWY_INLINE Vector<T> load_or_zero(const T* row) const {
    return row ? load(row) : hn::Zero(Tag<T>());
  }
  HWY_INLINE void store(Vector<T> v, T* row) const {
    if constexpr (partial) {
      store_first(Tag<T>(), v, row + j, count);
    } else {
      hn::StoreU(v, Tag<T>(), row + j);
    }
  }
  HWY_INLINE void store_if(Vector<T> v, T* row) const {
    if (row) store(v, row);
  }
};

template <typename T>
HWY_INLINE T* offset(T* data, int64_t elements) {
  return data ? data + elements : nullptr;
}

// The arrays of one row of a step.
template <typename T>
struct ForwardRow {
  ForwardRow(const CellStep<T>& s, int64_t row, int64_t hidden)
      : gates(s.gates + row * s.gates_row),
        arguments(offset(s.arguments, row * s.arguments_row)),
        h(s.h + row * hidden),
        c(offset(s.c, row * hidden)),
        y(offset(s.y, row * s.y_row)),
        cells(offset(s.cells, row * hidden)),
        reset(offset(s.reset, row * hidden)) {}

  T *gates, *arguments, *h, *c, *y, *cells, *reset;
};

template <bool usual, typename T>
struct RnnForward {
  const Cell& cell;
  const CellStep<T>& step;

  template <bool partial>
  HWY_INLINE void operator()(const ForwardRow<T>& r, Lanes<partial, T> l) const {
    const Tag<T> d;
    Vector<T> x = l.load(r.gates);
    l.store_if(x, r.arguments);
    Vector<T> h;
    if constexpr (usual) {
      h = Tanh()(d, x);
    } else {
      h = Functions<false>{cell}.f(d, x);
    }
    l.store(h, r.h);
    l.store_if(h, r.y);
  }
};

template <bool usual, typename T>
struct LstmForward {
  const Cell& cell;
  const CellStep<T>& step;

  template <bool partial>
  HWY_INLINE void operator()(const ForwardRow<T>& r, Lanes<partial, T> l) const {
    const Tag<T> d;
    const Functions<usual> functions{cell};
    const int64_t n = cell.hidden;
    const T* p = step.peepholes;
    Vector<T> xi = l.load(r.gates), xo = l.load(r.gates + n);
    Vector<T> xf = l.load(r.gates + 2 * n), xc = l.load(r.gates + 3 * n), c = l.load(r.c);
    if (p) {
      xi = hn::MulAdd(l.load(p), c, xi);
      xf = hn::MulAdd(l.load(p + 2 * n), c, xf);
    }
    Vector<T> i = functions.f(d, xi), g = functions.g(d, xc);
    Vector<T> f = cell.coupled ? hn::Sub(constant(d, 1), i) : functions.f(d, xf);
    c = hn::MulAdd(f, c, hn::Mul(i, g));
    if (p) xo = hn::MulAdd(l.load(p + n), c, xo);
    Vector<T> o = functions.f(d, xo);
    Vector<T> h = hn::Mul(o, functions.h(d, c));
    if (r.arguments) {
      l.store(xi, r.arguments);
      l.store(xo, r.arguments + n);
      l.store(xf, r.arguments + 2 * n);
      l.store(xc, r.arguments + 3 * n);
    }
    l.store(i, r.gates);
    l.store(o, r.gates + n);
    l.store(f, r.gates + 2 * n);
    l.store(g, r.gates + 3 * n);
    l.store(c, r.c);
    l.store_if(c, r.cells);
    l.store(h, r.h);
    l.store_if(h, r.y);
  }
};

// z and r, from their arguments; both are stored.
template <bool usual, bool partial, typename T>
HWY_INLINE void start_gru(const Cell& cell, const ForwardRow<T>& row, Lanes<partial, T> l,
                          Vector<T>& z, Vector<T>& r) {
  const Tag<T> d;
  const Functions<usual> functions{cell};
  Vector<T> xz = l.load(row.gates), xr = l.load(row.gates + cell.hidden);
  if (row.arguments) {
    l.store(xz, row.arguments);
    l.store(xr, row.arguments + cell.hidden);
  }
  z = functions.f(d, xz);
  r = functions.f(d, xr);
  l.store(z, row.gates);
  l.store(r, row.gates + cell.hidden);
}

// z, r and r h.
template <bool usual, typename T>
struct GruForwardBegin {
  const Cell& cell;
  const CellStep<T>& step;

  template <bool partial>
  HWY_INLINE void operator()(const ForwardRow<T>& row, Lanes<partial, T> l) const {
    Vector<T> z, r;
    start_gru<usual>(cell, row, l, z, r);
    l.store(hn::Mul(r, l.load(row.h)), row.reset);
  }
};

// n and the new state from z.
template <bool usual, bool partial, typename T>
HWY_INLINE void finish_gru(const Cell& cell, const ForwardRow<T>& row, Lanes<partial, T> l,
                           Vector<T> z, Vector<T> xn) {
  const Tag<T> d;
  l.store_if(xn, offset(row.arguments, 2 * cell.hidden));
  Vector<T> n = Functions<usual>{cell}.g(d, xn);
  Vector<T> h = hn::MulAdd(z, l.load(row.h), hn::Mul(hn::Sub(constant(d, 1), z), n));
  l.store(n, row.gates + (cell.kept() - 1) * cell.hidden);
  l.store(h, row.h);
  l.store_if(h, row.y);
}

template <bool usual, typename T>
struct GruForwardEnd {
  const Cell& cell;
  const CellStep<T>& step;

  template <bool partial>
  HWY_INLINE void operator()(const ForwardRow<T>& row, Lanes<partial, T> l) const {
    finish_gru<usual>(cell, row, l, l.load(row.gates), l.load(row.gates + 2 * cell.hidden));
  }
};

template <bool usual, typename T>
struct LinearGruForward {
  const Cell& cell;
  const CellStep<T>& step;

  template <bool partial>
  HWY_INLINE void operator()(const ForwardRow<T>& row, Lanes<partial, T> l) const {
    Vector<T> z, r;
    start_gru<usual>(cell, row, l, z, r);
    const int64_t n = cell.hidden;
    Vector<T> xn = hn::MulAdd(r, l.load(row.gates + 2 * n), l.load(row.gates + 3 * n));
    finish_gru<usual>(cell, row, l, z, xn);
  }
};

template <typename T, class F>
HWY_INLINE void for_each_vector(int64_t hidden, const F& f) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Tag<T>()));
  int64_t j = 0;
  for (; j + lanes <= hidden; j += lanes) f(Lanes<false, T>{j, 0});
  if (j < hidden) f(Lanes<true, T>{j, static_cast<size_t>(hidden - j)});
}

// Binds a row to a row's computation.
template <class Compute, class Row>
struct OnRow {
  const Compute& compute;
  const Row& row;
  template <class L>
  HWY_INLINE void operator()(L lanes) const {
    compute(row, lanes);
  }
};

template <typename T>
HWY_INLINE bool has_ended(const int32_t* lengths, int64_t row, int64_t time) {
  return lengths && lengths[row] <= time;
}

template <typename T>
void rest(const Cell& cell, const ForwardRow<T>& row) {
  const int64_t n = cell.hidden;
  if (row.y) std::fill_n(row.y, n, T(0));
  std::fill_n(row.gates, cell.kept() * n, T(0));
  if (row.arguments) std::fill_n(row.arguments, cell.gates() * n, T(0));
  if (row.cells) std::copy_n(row.c, n, row.cells);
  if (row.reset) std::fill_n(row.reset, n, T(0));
}

template <class Compute, typename T>
void forward_rows(const Cell& cell, const CellStep<T>& step) {
  const Compute compute{cell, step};
  for (int64_t i = 0; i < step.rows; ++i) {
    ForwardRow<T> row(step, i, cell.hidden);
    if (has_ended<T>(step.lengths, i, step.time)) {
      rest(cell, row);
    } else {
      for_each_vector<T>(cell.hidden, OnRow<Compute, ForwardRow<T>>{compute, row});
    }
  }
}

HWY_INLINE bool is_usual(const Cell& cell) {
  if (cell.clips) return false;
  if (cell.kind == CellKind::RNN) return cell.f.kind == ActivationKind::Tanh;
  return cell.f.kind == ActivationKind::Sigmoid && cell.g.kind == ActivationKind::Tanh &&
         (cell.kind == CellKind::GRU || cell.h.kind == ActivationKind::Tanh);
}

template <bool usual, typename T>
void forward_as(const Cell& cell, const CellStep<T>& step) {
  switch (cell.kind) {
    case CellKind::RNN:
      return forward_rows<RnnForward<usual, T>>(cell, step);
    case CellKind::LSTM:
      return forward_rows<LstmForward<usual, T>>(cell, step);
    case CellKind::GRU:
      if (cell.linear_before_reset) return forward_rows<LinearGruForward<usual, T>>(cell, step);
      return forward_rows<GruForwardBegin<usual, T>>(cell, step);
  }
}

template <typename T>
void forward(const Cell& cell, const CellStep<T>& step) {
  is_usual(cell) ? forward_as<true>(cell, step) : forward_as<false>(cell, step);
}

template <typename T>
void forward_end(const Cell& cell, const CellStep<T>& step) {
  is_usual(cell) ? forward_rows<GruForwardEnd<true, T>>(cell, step)
                 : forward_rows<GruForwardEnd<false, T>>(cell, step);
}

void forward_float(const Cell& c, const CellStep<float>& s) { forward(c, s); }
void forward_double(const Cell& c, const CellStep<double>& s) { forward(c, s); }
void forward_end_float(const Cell& c, const CellStep<float>& s) { forward_end(c, s); }
void forward_end_double(const Cell& c, const CellStep<double>& s) { forward_end(c, s); }

// The arrays of one row of a step's gradient.
template <typename T>
struct BackwardRow {
  BackwardRow(const CellGradient<T>& s, int64_t row, int64_t hidden)
      : gates(s.gates + row * s.gates_row),
        arguments(offset(s.arguments, row * s.arguments_row)),
        h_before(offset(s.h_before, row * hidden)),
        cells(offset(s.cells, row * hidden)),
        c_before(offset(s.c_before, row * hidden)),
        d_y(offset(s.d_y, row * s.d_y_row)),
        d_gates(offset(s.d_gates, row * s.gates_row)),
        d_cells(offset(s.d_cells, row * hidden)),
        d_arguments(offset(s.d_arguments, row * s.arguments_row)),
        d_h(s.d_h + row * hidden),
        d_c(offset(s.d_c, row * hidden)),
        d_raw(s.d_raw + row * s.d_raw_row),
        d_reset(offset(s.d_reset, row * hidden)) {}

  const T *gates, *arguments, *h_before, *cells, *c_before, *d_y, *d_gates, *d_cells, *d_arguments;
  T *d_h, *d_c, *d_raw, *d_reset;
};

// What the computations of rows' gradients share.
template <typename T>
struct Backward {
  const Cell& kind;
  const CellGradient<T>& step;

  // The cotangent of h, from later steps and from the output.
  template <bool partial>
  HWY_INLINE Vector<T> state(const BackwardRow<T>& r, Lanes<partial, T> l) const {
    return hn::Add(l.load(r.d_h), l.load_or_zero(r.d_y));
  }
  // The cotangent of the argument of the gate at `slot` (among the arguments, `place`), whose own
  // is `cotangent`.
  template <bool partial>
  HWY_INLINE Vector<T> argument(const BackwardRow<T>& r, Lanes<partial, T> l,
                                const Activation& activation, int64_t slot, int64_t place,
                                Vector<T> cotangent) const {
    const Tag<T> d;
    Vector<T> y = l.load(r.gates + slot * kind.hidden);
    Vector<T> x = l.load_or_zero(offset(r.arguments, place * kind.hidden));
    Vector<T> all = hn::Add(cotangent, l.load_or_zero(offset(r.d_gates, slot * kind.hidden)));
    return hn::Add(through(d, kind, activation, all, y, x),
                   l.load_or_zero(offset(r.d_arguments, place * kind.hidden)));
  }
};

template <typename T>
struct RnnBackward : Backward<T> {
  template <bool partial>
  HWY_INLINE void operator()(const BackwardRow<T>& r, Lanes<partial, T> l) const {
    l.store(this->argument(r, l, this->kind.f, 0, 0, this->state(r, l)), r.d_raw);
    l.store(hn::Zero(Tag<T>()), r.d_h);
  }
};

template <typename T>
struct LstmBackward : Backward<T> {
  template <bool partial>
  HWY_INLINE void operator()(const BackwardRow<T>& r, Lanes<partial, T> l) const {
    const Tag<T> d;
    const Cell& cell = this->kind;
    const int64_t n = cell.hidden;
    const T* p = this->step.peepholes;
    Vector<T> i = l.load(r.gates), o = l.load(r.gates + n), f = l.load(r.gates + 2 * n);
    Vector<T> g = l.load(r.gates + 3 * n), c = l.load(r.cells), before = l.load_or_zero(r.c_before);
    Vector<T> dh = this->state(r, l), squashed = activate(d, cell.h, c);
    Vector<T> xo = this->argument(r, l, cell.f, 1, 1, hn::Mul(dh, squashed));
    Vector<T> dc = hn::Add(l.load(r.d_c), l.load_or_zero(r.d_cells));
    dc = hn::MulAdd(hn::Mul(dh, o), slope(d, cell.h, squashed, c), dc);
    if (p) dc = hn::MulAdd(xo, l.load(p + n), dc);
    Vector<T> di = hn::Mul(dc, g), df = hn::Mul(dc, before), xf = hn::Zero(d);
    if (cell.coupled) {
      df = hn::Add(df, l.load_or_zero(offset(r.d_gates, 2 * n)));
      di = hn::Sub(di, df);
      xf = l.load_or_zero(offset(r.d_arguments, 2 * n));
    } else {
      xf = this->argument(r, l, cell.f, 2, 2, df);
    }
    Vector<T> xi = this->argument(r, l, cell.f, 0, 0, di);
    Vector<T> xg = this->argument(r, l, cell.g, 3, 3, hn::Mul(dc, i));
    Vector<T> dc_before = hn::Mul(dc, f);
    if (p) dc_before = hn::MulAdd(xi, l.load(p), hn::MulAdd(xf, l.load(p + 2 * n), dc_before));
    l.store(xi, r.d_raw);
    l.store(xo, r.d_raw + n);
    l.store(xf, r.d_raw + 2 * n);
    l.store(xg, r.d_raw + 3 * n);
    l.store(dc_before, r.d_c);
    l.store(hn::Zero(d), r.d_h);
  }
};

template <typename T>
struct GruBackward : Backward<T> {
  template <bool partial>
  HWY_INLINE void operator()(const BackwardRow<T>& row, Lanes<partial, T> l) const {
    const Tag<T> d;
    const Cell& cell = this->kind;
    const int64_t hidden = cell.hidden, last = cell.kept() - 1;
    Vector<T> z = l.load(row.gates), n = l.load(row.gates + last * hidden);
    Vector<T> h = l.load(row.h_before), dh = this->state(row, l);
    Vector<T> dn = hn::Mul(dh, hn::Sub(constant(d, 1), z));
    Vector<T> xz = this->argument(row, l, cell.f, 0, 0, hn::Mul(dh, hn::Sub(h, n)));
    Vector<T> xn = this->argument(row, l, cell.g, last, 2, dn);
    l.store(xz, row.d_raw);
    l.store(xn, row.d_raw + last * hidden);
    l.store(hn::Mul(dh, z), row.d_h);
    if (!cell.linear_before_reset) return;
    // n's argument is ... + r q.
    Vector<T> r = l.load(row.gates + hidden), q = l.load(row.gates + 2 * hidden);
    Vector<T> dq = hn::MulAdd(xn, r, l.load_or_zero(offset(row.d_gates, 2 * hidden)));
    l.store(this->argument(row, l, cell.f, 1, 1, hn::Mul(xn, q)), row.d_raw + hidden);
    l.store(dq, row.d_raw + 2 * hidden);
  }
};

template <typename T>
struct GruBackwardEnd : Backward<T> {
  template <bool partial>
  HWY_INLINE void operator()(const BackwardRow<T>& row, Lanes<partial, T> l) const {
    const int64_t hidden = this->kind.hidden;
    Vector<T> reset = l.load(row.d_reset), r = l.load(row.gates + hidden);
    Vector<T> dr = hn::Mul(reset, l.load(row.h_before));
    l.store(this->argument(row, l, this->kind.f, 1, 1, dr), row.d_raw + hidden);
    l.store(hn::MulAdd(reset, r, l.load(row.d_h)), row.d_h);
  }
};

template <class Compute, typename T>
void backward_rows(const Cell& cell, const CellGradient<T>& step) {
  const Compute compute{{cell, step}};
  for (int64_t i = 0; i < step.rows; ++i) {
    BackwardRow<T> row(step, i, cell.hidden);
    if (!has_ended<T>(step.lengths, i, step.time)) {
      for_each_vector<T>(cell.hidden, OnRow<Compute, BackwardRow<T>>{compute, row});
      continue;
    }
    std::fill_n(row.d_raw, cell.kept() * cell.hidden, T(0));
    if (row.d_cells) {
      for (int64_t j = 0; j < cell.hidden; ++j) row.d_c[j] += row.d_cells[j];
    }
  }
}

template <typename T>
void backward(const Cell& cell, const CellGradient<T>& step) {
  switch (cell.kind) {
    case CellKind::RNN:
      return backward_rows<RnnBackward<T>>(cell, step);
    case CellKind::LSTM:
      return backward_rows<LstmBackward<T>>(cell, step);
    case CellKind::GRU:
      return backward_rows<GruBackward<T>>(cell, step);
  }
}

void backward_float(const Cell& c, const CellGradient<float>& s) { backward(c, s); }
void backward_double(const Cell& c, const CellGradient<double>& s) { backward(c, s); }
void backward_end_float(const Cell& c, const CellGradient<float>& s) {
  backward_rows<GruBackwardEnd<float>>(c, s);
}
void backward_end_double(const Cell& c, const CellGradient<double>& s) {
  backward_rows<GruBackwardEnd<double>>(c, s);
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace onnxrun {

bool needs_argument(const Activation& a) {
  return a.kind == ActivationKind::LeakyRelu || a.kind == ActivationKind::ThresholdedRelu ||
         a.kind == ActivationKind::ScaledTanh || a.kind == ActivationKind::Elu;
}

#define ONNXRUN_CELL(NAME, STEP)                           \
  HWY_EXPORT(NAME##_float);                                \
  HWY_EXPORT(NAME##_double);                               \
  void cell_##NAME(const Cell& c, const STEP<float>& s) {  \
    HWY_DYNAMIC_DISPATCH(NAME##_float)(c, s);              \
  }                                                        \
  void cell_##NAME(const Cell& c, const STEP<double>& s) { \
    HWY_DYNAMIC_DISPATCH(NAME##_double)(c, s);             \
  }
ONNXRUN_CELL(forward, CellStep)
ONNXRUN_CELL(forward_end, CellStep)
ONNXRUN_CELL(backward, CellGradient)
ONNXRUN_CELL(backward_end, CellGradient)
#undef ONNXRUN_CELL

}  // namespace onnxrun
#endif  // HWY_ONCE
