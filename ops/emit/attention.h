// Scaled dot-product attention as standard operators, for every operator that computes it.
#pragma once

#include <functional>

#include "graph/cost.h"
#include "kernels/composed.h"

namespace onnxrun {

// [B, S, heads * D] as [B, heads, S, D], and back.
ValueId split_heads(const Emit& e, ValueId x, int64_t heads);
ValueId merge_heads(const Emit& e, ValueId x);

// What attention is made of. Queries are [B, H, S, D], keys and values [B, G, T, D], where G
// divides H and query head h reads head h / (H / G).
struct AttentionParts {
  ValueId q = no_value, k = no_value, v = no_value;
  std::optional<float> scale;          // 1 / sqrt(D) without
  float softcap = 0;                   // 0: none
  DType precision = DType::Undefined;  // of the softmax; that of the queries without
  ValueId allowed = no_value;          // bool, broadcasts to [B, H, S, T]: which keys count
  ValueId bias = no_value;             // added to the scores
  bool may_be_empty = false;           // a row may have no key that counts; it is zero then
  // What becomes of the scores before the softmax and of the weights after it; may be empty.
  std::function<ValueId(ValueId)> modify_scores = {}, modify_weights = {};
};

struct AttentionResult {
  ValueId y = no_value;        // [B, H, S, D]
  ValueId scores = no_value;   // q k^T scale
  ValueId capped = no_value;   // after the soft cap
  ValueId masked = no_value;   // after bias and mask
  ValueId weights = no_value;  // after the softmax
};

AttentionResult emit_attention(const Emit& e, const AttentionParts& parts);

// Whether both conditions hold; either may be no_value.
ValueId both(const Emit& e, ValueId a, ValueId b);

// Key j - query i, as [S, T] for lists of one that say how many there are.
ValueId key_minus_query(const Emit& e, ValueId queries, ValueId keys);

// [B, 1, 1, T]: j < lengths[b].
ValueId within_lengths(const Emit& e, ValueId lengths, ValueId keys);

// Of Q [batch, heads, queries, depth] or [batch, queries, heads * depth] against as many keys:
// scores and their product with the values, which both have as many as queries have elements, times
// keys.
inline Count attention_operations(const CostContext& c) {
  return 2 * c.length(1, -2) * (c.elements(0) + c.output_elements());
}

}  // namespace onnxrun
