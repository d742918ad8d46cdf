#include "emit/attention.h"

#include <cmath>
#include <limits>

namespace onnxrun {

ValueId split_heads(const Emit& e, ValueId x, int64_t heads) {
  ValueId count = e.b.ints({heads});
  ValueId shape = e.concat({e.dims(x, 0, 2), count, e.div(e.dim(x, 2), count)});
  return e.b.transpose(e.b.reshape(x, shape), {0, 2, 1, 3});
}

ValueId merge_heads(const Emit& e, ValueId x) {
  ValueId rows = e.b.transpose(x, {0, 2, 1, 3});
  return e.b.reshape(rows, e.concat({e.dims(rows, 0, 2), e.product(e.dims(rows, 2))}));
}

ValueId both(const Emit& e, ValueId a, ValueId b) {
  if (a == no_value || b == no_value) return a == no_value ? b : a;
  return e("And", {a, b});
}

ValueId key_minus_query(const Emit& e, ValueId queries, ValueId keys) {
  return e.sub(e.b.unsqueeze(e.range(keys), {0}), e.b.unsqueeze(e.range(queries), {1}));
}

ValueId within_lengths(const Emit& e, ValueId lengths, ValueId keys) {
  ValueId flat = e.b.reshape(lengths, e.b.ints({-1}));
  ValueId list = e.b.unsqueeze(e.b.cast(flat, DType::Int64), {1, 2, 3});
  return e("Less", {e.range(keys), list});
}

namespace {

bool same_heads(const Emit& e, ValueId q, ValueId k) {
  const Type &a = e.b.type(q), &b = e.b.type(k);
  return a.shape && b.shape && (*a.shape)[1] == (*b.shape)[1];
}

// x [B, H, S, D] as [B, G, H / G, S, D].
ValueId grouped(const Emit& e, ValueId x, ValueId groups) {
  ValueId shape = e.concat({e.dims(x, 0, 1), groups, e.div(e.dim(x, 1), groups), e.dims(x, 2)});
  return e.b.reshape(x, shape);
}

ValueId ungrouped(const Emit& e, ValueId x, ValueId heads) {
  return e.b.reshape(x, e.concat({e.dims(x, 0, 1), heads, e.dims(x, 3)}));
}

ValueId scaled(const Emit& e, ValueId q, std::optional<float> scale) {
  if (scale) return e.mul(q, e.scalar(static_cast<double>(*scale), q));
  const Dim size = (*e.b.type(q).shape)[3];
  if (size.is_known()) {
    double root = std::sqrt(static_cast<double>(std::max<int64_t>(1, size.value())));
    return e.mul(q, e.scalar(1 / root, q));
  }
  return e.div(q, e("Sqrt", {e.b.cast(e.dim(q, 3), e.b.dtype(q))}));
}

// A softmax of rows of -inf is zero, and nothing flows back.
ValueId guarded_softmax(const Emit& e, ValueId x) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  ValueId largest = e.reduce("ReduceMax", x, {-1}, true);
  ValueId empty = e.equal(largest, e.scalar(-infinity, x)), zero = e.scalar(0, x);
  ValueId y = e("Softmax", {e.where(empty, zero, x)}, {{"axis", int64_t{-1}}});
  return e.where(empty, zero, y);
}

}  // namespace

AttentionResult emit_attention(const Emit& e, const AttentionParts& parts) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  bool shared = !same_heads(e, parts.q, parts.k);
  ValueId heads = e.dim(parts.q, 1), groups = e.dim(parts.k, 1);
  ValueId q = scaled(e, parts.q, parts.scale), k = parts.k, v = parts.v;
  if (shared) {
    q = grouped(e, q, groups);
    k = e.b.unsqueeze(k, {2});
    v = e.b.unsqueeze(v, {2});
  }
  AttentionResult r;
  r.scores = e("onnxrun.MatMulT", {q, k}, {{"transB", int64_t{1}}});
  if (shared) r.scores = ungrouped(e, r.scores, heads);
  r.capped = r.scores;
  if (parts.softcap > 0) {
    ValueId cap = e.scalar(static_cast<double>(parts.softcap), r.scores);
    r.capped = e.mul(cap, e("Tanh", {e.div(r.scores, cap)}));
  }
  r.masked = r.capped;
  if (parts.bias != no_value) r.masked = e.add(r.masked, e.b.cast(parts.bias, e.b.dtype(q)));
  if (parts.allowed != no_value) {
    r.masked = e.where(parts.allowed, r.masked, e.scalar(-infinity, r.masked));
  }
  DType type = e.b.dtype(parts.q);
  ValueId x = e.b.cast(r.masked, parts.precision == DType::Undefined ? type : parts.precision);
  if (parts.modify_scores) x = parts.modify_scores(x);
  ValueId weights =
      parts.may_be_empty ? guarded_softmax(e, x) : e("Softmax", {x}, {{"axis", int64_t{-1}}});
  if (parts.modify_weights) weights = parts.modify_weights(weights);
  r.weights = e.b.cast(weights, type);
  ValueId w = e.b.cast(r.weights, e.b.dtype(v));
  if (shared) w = grouped(e, w, groups);
  ValueId y = e.matmul(w, v);
  r.y = e.b.cast(shared ? ungrouped(e, y, heads) : y, type);
  return r;
}

}  // namespace onnxrun
