// com.microsoft: Attention, QAttention: queries, keys and values out of one product.
#include "emit/attention.h"
#include "emit/function_op.h"
#include "graph/cost.h"
#include "microsoft/declarations.h"

namespace onnxrun {

namespace {

// Input 0 is [B, S, features]; past and present are [2, B, heads, T, D].
class PackedAttention : public FunctionOp {
 public:
  // The projection of [batch, tokens, inputs] by [inputs, 3 * hidden], and attention among the
  // tokens.
  Count operations(const CostContext& c) const override {
    Count tokens = c.length(0, 1);
    return 2 * c.length(0, 0) * tokens * c.elements(1) + 4 * tokens * c.output_elements();
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    AttentionParts parts = split(e, projected(e, d));
    ValueId past = d.input(past_input());
    if (d.has_input(past_input())) {
      auto part = [&](int64_t i) { return e.b.squeeze(e.b.slice(past, 0, i, i + 1), {0}); };
      parts.k = e.concat({part(0), parts.k}, 2);
      parts.v = e.concat({part(1), parts.v}, 2);
    }
    if (scale_ && *scale_ != 0) parts.scale = scale_;
    ValueId queries = e.dim(parts.q, 2), keys = e.dim(parts.k, 2);
    parts.bias = bias(e, d, keys, e.b.dtype(parts.q));
    if (causal_) {
      ValueId ahead = e.sub(key_minus_query(e, queries, keys), e.sub(keys, queries));
      parts.allowed = e("LessOrEqual", {ahead, e.b.int_scalar(0)});
    }
    d.set(0, merge_heads(e, emit_attention(e, parts).y));
    if (!d.has_output(1)) return;
    d.set(1, e.concat({e.b.unsqueeze(parts.k, {0}), e.b.unsqueeze(parts.v, {0})}, 0));
  }

 protected:
  virtual size_t mask_input() const = 0;
  virtual size_t past_input() const = 0;
  // What is added to the scores besides the mask; no_value for none.
  virtual ValueId more_bias(const DecomposeContext&) const { return no_value; }
  // [B, S, queries and keys and values].
  virtual ValueId projected(const Emit& e, const DecomposeContext& d) const = 0;

  void visit_first(AttributeVisitor& v) {
    v.visit("do_rotary", rotary_, "0: queries and keys are not turned");
    v.visit("mask_filter_value", filter_, "added to scores of keys that are masked");
    v.required("num_heads", heads_, "heads of queries, keys and values");
    v.visit("past_present_share_buffer", shared_, "0: present is a tensor of its own");
  }
  void visit_last(AttributeVisitor& v) {
    v.visit("scale", scale_, "factor of the scores; 1 / sqrt(head size) without");
    v.visit("unidirectional", causal_, "queries see keys up to their own place only");
  }

  void check(const InferContext& c) const override {
    constexpr int64_t most = int64_t{1} << 31;
    if (heads_ < 1 || heads_ > most) c.reject("attribute 'num_heads' is {}", heads_);
    if (rotary_.value_or(0) != 0 || shared_.value_or(0) != 0) {
      fail(ErrorKind::Unsupported, "do_rotary and past_present_share_buffer");
    }
    require_rank(c, 0, 3);
    require_rank(c, 1, 2);
    if (c.shape(0)) require_shape(c, 1, {c.shape(0)->back(), Dim()});
    check_sizes(c);
    require_shape(c, past_input(), {Dim(2), batch(c), Dim(heads_), Dim(), Dim()});
    const size_t mask = mask_input();
    if (!c.has_input(mask) || !c.shape(mask)) return;
    if (c.rank(mask) < 1 || c.rank(mask) > 3) {
      fail(ErrorKind::Unsupported, "{}, expected rank 1 to 3", c.describe_input(mask));
    }
    const Dim& count = c.shape(mask)->front();
    bool ends_only = c.rank(mask) > 1 || count == batch(c);
    bool known = count.is_known() && batch(c).is_known();
    if (known && !ends_only && count.value() != 2 * batch(c).value()) {
      c.reject("{} for {} sequences", c.describe_input(mask), batch(c).to_string());
    }
    if (c.rank(mask) > 1 && known && count != batch(c) && count.value() != 1) {
      c.reject("{} for {} sequences", c.describe_input(mask), batch(c).to_string());
    }
  }

  int64_t heads_ = 0;
  std::optional<std::vector<int64_t>> sizes_;  // of queries, keys and values

 private:
  static Dim batch(const InferContext& c) { return c.shape(0) ? c.shape(0)->front() : Dim(); }

  void check_sizes(const InferContext& c) const {
    if (!sizes_) {
      const Dim width = c.shape(1) ? (*c.shape(1))[1] : Dim();
      if (width.is_known() && width.value() % (3 * heads_) != 0) {
        c.reject("{} is not divisible by 3 x {} heads", c.describe_input(1), heads_);
      }
      return;
    }
    constexpr int64_t most = int64_t{1} << 31;
    bool good = sizes_->size() == 3 && (*sizes_)[0] == (*sizes_)[1];
    int64_t sum = 0;
    for (int64_t size : *sizes_) {
      good = good && size >= 1 && size <= most && size % heads_ == 0;
      sum += good ? size : 0;
    }
    if (!good) c.reject("attribute 'qkv_hidden_sizes' is no three sizes of {} heads", heads_);
    require_shape(c, 1, {Dim(), Dim(sum)});
  }

  AttentionParts split(const Emit& e, ValueId all) const {
    ValueId first, second;
    if (sizes_) {
      first = e.b.ints({(*sizes_)[0]});
      second = e.b.ints({(*sizes_)[0] + (*sizes_)[1]});
    } else {
      first = e.div(e.dim(all, 2), e.b.ints({3}));
      second = e.add(first, first);
    }
    auto part = [&](ValueId from, ValueId to) {
      return split_heads(e, e("Slice", {all, from, to, e.b.ints({2})}), heads_);
    };
    AttentionParts parts;
    parts.q = part(e.b.ints({0}), first);
    parts.k = part(first, second);
    parts.v = part(second, e.b.ints({INT64_MAX}));
    return parts;
  }

  // Added to scores [B, heads, S, T].
  ValueId bias(const Emit& e, const DecomposeContext& d, ValueId keys, DType type) const {
    ValueId more = more_bias(d), mask = d.input(mask_input());
    if (!d.has_input(mask_input())) return more;
    double low = static_cast<double>(filter_.value_or(-10000.0f));
    ValueId added = e.where(counted(e, d, mask, keys), e.b.scalar(0, type), e.b.scalar(low, type));
    return more == no_value ? added : e.add(added, more);
  }

  // Which keys a mask lets count: before the ends [B], and from the starts on [2 B], where there
  // are any; or where [B, T] or [B, S, T] is above zero.
  static ValueId counted(const Emit& e, const DecomposeContext& d, ValueId mask, ValueId keys) {
    if (e.b.rank(mask) > 1) {
      ValueId there = e("Greater", {mask, e.scalar(0, mask)});
      return e.b.unsqueeze(
          there, e.b.rank(mask) == 2 ? std::vector<int64_t>{1, 2} : std::vector<int64_t>{1});
    }
    ValueId batch = e.dim(d.input(0), 0), axis = e.b.ints({0});
    ValueId ends = e("Slice", {mask, e.b.ints({0}), batch, axis});
    ValueId inside = within_lengths(e, ends, keys);
    const Type &lists = e.b.type(mask), &rows = e.b.type(d.input(0));
    if ((*lists.shape)[0] == (*rows.shape)[0]) return inside;
    ValueId starts = e("Slice", {mask, batch, e.b.ints({INT64_MAX}), axis});
    return e("And", {inside, e("Not", {within_lengths(e, starts, keys)})});
  }

  std::optional<int64_t> rotary_, shared_;
  std::optional<float> filter_, scale_;
  bool causal_ = false;
};

class MicrosoftAttention final : public PackedAttention {
 public:
  void attributes(AttributeVisitor& v) override {
    visit_first(v);
    v.visit("qkv_hidden_sizes", sizes_, "of queries, keys and values; a third each without");
    v.visit("rotary_embedding_dim", rotated_, "elements of a head that are turned");
    visit_last(v);
  }

 protected:
  size_t mask_input() const override { return 3; }
  size_t past_input() const override { return 4; }
  ValueId more_bias(const DecomposeContext& d) const override { return d.input(5); }

  void check(const InferContext& c) const override {
    PackedAttention::check(c);
    if (c.has_input(6)) fail(ErrorKind::Unsupported, "past_sequence_length");
    require_rank(c, 2, 1);
    if (c.shape(1)) require_shape(c, 2, {(*c.shape(1))[1]});
    require_rank(c, 5, 4);
  }

  ValueId projected(const Emit& e, const DecomposeContext& d) const override {
    ValueId all = e.matmul(d.input(0), d.input(1));
    return d.has_input(2) ? e.add(all, d.input(2)) : all;
  }

 private:
  std::optional<int64_t> rotated_;
};

class QAttention final : public PackedAttention {
 public:
  void attributes(AttributeVisitor& v) override {
    visit_first(v);
    visit_last(v);
  }

 protected:
  size_t mask_input() const override { return 5; }
  size_t past_input() const override { return 8; }
  DType output_type(const InferContext& c, size_t) const override { return c.dtype(2); }

  void check(const InferContext& c) const override {
    PackedAttention::check(c);
    require_rank(c, 2, 1);
    if (c.shape(1)) require_shape(c, 2, {(*c.shape(1))[1]});
    require_single(c, 3);
    require_single(c, 6);
    const Dim columns = c.shape(1) ? (*c.shape(1))[1] : Dim();
    for (size_t i : {4, 7}) {
      if (!c.has_input(i) || !c.shape(i)) continue;
      Dim count = element_count(*c.shape(i));
      bool single = count.is_known() && count.value() == 1;
      if (!single && count.is_known() && columns.is_known() && count != columns) {
        c.reject("{}, expected one element or {}", c.describe_input(i), columns.to_string());
      }
    }
  }

  ValueId projected(const Emit& e, const DecomposeContext& d) const override {
    auto list = [&](size_t i) {
      return d.has_input(i) ? e.b.reshape(d.input(i), e.b.ints({-1})) : no_value;
    };
    ValueId x_zero = d.has_input(6) ? e.b.reshape(d.input(6), e.b.ints({})) : no_value;
    ValueId sums = e("MatMulInteger", {d.input(0), d.input(1), x_zero, list(7)});
    ValueId scale = e.mul(list(3), list(4));
    return e.add(e.mul(e.b.cast(sums, e.b.dtype(scale)), scale), d.input(2));
  }
};

}  // namespace

void register_microsoft_packed_attention(OpRegistry& r) {
  r.add<MicrosoftAttention>({.name = "Attention",
                             .domain = "com.microsoft",
                             .doc = "attention of a sequence to itself, with its projection",
                             .since = {1},
                             .inputs = {{"input", "T"},
                                        {"weights", "T", InputRole::Weight},
                                        {"bias", "T", optional, InputRole::Bias},
                                        {"mask_index", "M", optional},
                                        {"past", "T", optional},
                                        {"attention_bias", "T", optional},
                                        {"past_sequence_length", "M", optional}},
                             .outputs = {{"output", "T"}, {"present", "T", optional}},
                             .types = {with_own_double("T", dtypes::floats), {"M", DType::Int32}},
                             .gradient = GradientState::Decompose,
                             .decomposes = true});
  constexpr DTypeSet bytes{DType::Int8, DType::UInt8};
  r.add<QAttention>({.name = "QAttention",
                     .domain = "com.microsoft",
                     .doc = "attention of a sequence to itself, with its projection in bytes",
                     .since = {1},
                     .inputs = {{"input", "T1"},
                                {"weight", "T2", InputRole::Weight},
                                {"bias", "T3", InputRole::Bias},
                                {"input_scale", "T3", InputRole::Setting},
                                {"weight_scale", "T3", InputRole::Setting},
                                {"mask_index", "T4", optional},
                                {"input_zero_point", "T1", optional, InputRole::Setting},
                                {"weight_zero_point", "T2", optional, InputRole::Setting},
                                {"past", "T3", optional}},
                     .outputs = {{"output", "T3"}, {"present", "T3", optional}},
                     .types = {{"T1", bytes},
                               {"T2", bytes},
                               {"T3", DTypeSet{DType::Float32, DType::Float16}},
                               {"T4", DType::Int32}},
                     .gradient = GradientState::NotDifferentiable,
                     .decomposes = true});
}

}  // namespace onnxrun
