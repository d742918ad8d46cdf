// LinearAttention and CausalConvWithState.
#include "emit/attention.h"
#include "emit/scan_builder.h"

namespace onnxrun {

namespace {

void expect_fits(const InferContext& c, size_t i, const Shape& expected) {
  if (!c.has_input(i) || compatible(Type::tensor(c.dtype(i), expected), c.type(i))) return;
  c.reject("{}, expected {}", c.describe_input(i), to_string(expected));
}

// The recurrences of Yang et al. 2024, "Gated delta networks", and simpler ones.
class LinearAttention final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("chunk_size", chunk_, "a hint that changes no result");
    v.required("kv_num_heads", kv_heads_, "heads of keys and values");
    v.required("q_num_heads", q_heads_, "heads of queries");
    v.visit("scale", scale_, "factor of the queries; 0: 1 / sqrt(key size)");
    v.visit("update_rule", rule_, "'linear', 'gated', 'delta' or 'gated_delta'");
  }

  void infer(InferContext& c) const override {
    if (rule_ != "linear" && rule_ != "gated" && rule_ != "delta" && rule_ != "gated_delta") {
      c.reject("update_rule is '{}', expected 'linear', 'gated', 'delta' or 'gated_delta'", rule_);
    }
    if (kv_heads_ < 1 || q_heads_ < 1 || q_heads_ % kv_heads_ != 0) {
      c.reject("{} heads of queries for {} of keys", q_heads_, kv_heads_);
    }
    if (c.has_input(4) != gated()) {
      c.reject("update_rule '{}' {} input 'decay'", rule_, gated() ? "needs" : "has no");
    }
    if (c.has_input(5) != delta()) {
      c.reject("update_rule '{}' {} input 'beta'", rule_, delta() ? "needs" : "has no");
    }
    Dim batch, steps, key, value;
    if (const Shape* q = c.shape(0); q && q->size() == 3) {
      batch = (*q)[0];
      steps = (*q)[1];
    }
    auto per_head = [&](size_t i, int64_t heads) {
      expect_fits(c, i, Shape{batch, steps, Dim()});
      if (!c.shape(i)) return Dim();
      const Dim& size = c.shape(i)->back();
      if (size.is_known() && size.value() % heads != 0) {
        c.reject("{} is not divisible by {} heads", c.describe_input(i), heads);
      }
      return floor_div(size, Dim(heads));
    };
    key = per_head(0, q_heads_);
    Dim own = per_head(1, kv_heads_);
    if (key.is_known() && own.is_known() && !(key == own)) {
      c.reject("queries have {} elements a head, keys {}", key.to_string(), own.to_string());
    }
    value = per_head(2, kv_heads_);
    expect_fits(c, 3, Shape{batch, Dim(kv_heads_), key, value});
    check_gates(c, batch, steps, key);
    c.set_output(0, c.dtype(0), Shape{batch, steps, value * Dim(q_heads_)});
    c.set_output(1, c.has_input(3) ? c.dtype(3) : c.dtype(0),
                 Shape{batch, Dim(kv_heads_), key, value});
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    DType type = d.dtype(d.input(0));
    DType wide = type == DType::Float64 ? type : DType::Float32;
    auto input = [&](size_t i) { return e.b.cast(d.input(i), wide); };
    // [T, B, H, ...]
    auto steps = [&](ValueId v, int64_t heads) {
      ValueId count = e.b.ints({heads});
      ValueId shape = e.concat({e.dims(v, 0, 2), count, e.div(e.dim(v, 2), count)});
      return e.b.transpose(e.b.reshape(v, shape), {1, 0, 2, 3});
    };
    ValueId q = steps(input(0), q_heads_), k = steps(input(1), kv_heads_),
            v = steps(input(2), kv_heads_);
    ValueId heads = e.b.ints({kv_heads_});
    // [T, B, H, group, dk]
    q = e.b.reshape(
        q, e.concat({e.dims(q, 0, 2), heads, e.b.ints({q_heads_ / kv_heads_}), e.dims(q, 3)}));
    ValueId scale = scale_ != 0 ? e.scalar(static_cast<double>(scale_), q)
                                : e("Reciprocal", {e("Sqrt", {e.b.cast(e.dim(k, 3), wide)})});
    q = e.mul(q, scale);
    ValueId state = no_value;
    if (d.has_input(3)) {
      state = input(3);
    } else {
      state = e.fill(0, wide, e.concat({e.dims(k, 1), e.dim(v, 3)}));
    }
    ScanBuilder scan(e.b, false);
    ValueId before = scan.state(state);
    ValueId key = scan.scan(k), value = scan.scan(v), query = scan.scan(q), decay = no_value,
            beta = no_value;
    if (gated()) decay = scan.scan(steps(input(4), kv_heads_));
    if (delta()) beta = scan.scan(e.b.unsqueeze(e.b.transpose(input(5), {1, 0, 2}), {3, 4}));
    step(Emit(scan.body()), scan, before, key, value, query, decay, beta);
    std::vector<ValueId> results = scan.build();
    // [T, B, H, group, dv]
    ValueId y = e.b.transpose(results[1], {1, 0, 2, 3, 4});
    y = e.b.reshape(y, e.concat({e.dims(y, 0, 2), e.product(e.dims(y, 2))}));
    d.set(0, e.b.cast(y, type));
    if (d.has_output(1)) {
      d.set(1, e.b.cast(results[0], d.has_input(3) ? d.dtype(d.input(3)) : type));
    }
  }

 private:
  bool gated() const { return rule_ == "gated" || rule_ == "gated_delta"; }
  bool delta() const { return rule_ == "delta" || rule_ == "gated_delta"; }

  void check_gates(const InferContext& c, const Dim& batch, const Dim& steps,
                   const Dim& key) const {
    expect_fits(c, 4, Shape{batch, steps, Dim()});
    expect_fits(c, 5, Shape{batch, steps, Dim()});
    auto last = [&](size_t i) { return c.has_input(i) && c.shape(i) ? c.shape(i)->back() : Dim(); };
    if (Dim n = last(4); n.is_known() && n.value() != kv_heads_ && key.is_known() &&
                         n.value() != kv_heads_ * key.value()) {
      c.reject("{}, expected {} or {} numbers a step", c.describe_input(4), kv_heads_,
               kv_heads_ * key.value());
    }
    if (Dim n = last(5); n.is_known() && n.value() != kv_heads_ && n.value() != 1) {
      c.reject("{}, expected {} or 1 numbers a step", c.describe_input(5), kv_heads_);
    }
  }

  // S' = exp(g) S + k (beta (v - k S)), o = q S'
  void step(const Emit& e, ScanBuilder& scan, ValueId state, ValueId key, ValueId value,
            ValueId query, ValueId decay, ValueId beta) const {
    if (gated()) state = e.mul(state, e.b.unsqueeze(e("Exp", {decay}), {3}));
    ValueId row = e.b.unsqueeze(value, {2}), column = e.b.unsqueeze(key, {3});
    if (delta()) {
      ValueId known = e.matmul(e.b.unsqueeze(key, {2}), state);
      row = e.mul(beta, e.sub(row, known));
    }
    ValueId after = e.add(state, e.mul(column, row));
    scan.finish_iteration({after}, {e.matmul(query, after)});
  }

  int64_t chunk_ = 64, kv_heads_ = 0, q_heads_ = 0;
  float scale_ = 0;
  std::string rule_ = "gated_delta";
};

// A depthwise convolution of what comes after the state with what the state keeps before it.
class CausalConvWithState final : public ComposedOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("activation", activation_, "'none', 'silu' or 'swish', which are one");
  }

  void infer(InferContext& c) const override {
    if (activation_ != "none" && activation_ != "silu" && activation_ != "swish") {
      c.reject("activation is '{}', expected 'none', 'silu' or 'swish'", activation_);
    }
    Dim batch, channels, length, kernel;
    expect_fits(c, 0, Shape(3));
    expect_fits(c, 1, Shape(3));
    if (const Shape* x = c.shape(0)) {
      batch = (*x)[0];
      channels = (*x)[1];
      length = (*x)[2];
    }
    if (const Shape* w = c.shape(1)) kernel = (*w)[2];
    if (kernel.is_known() && kernel.value() < 1) c.reject("{} is empty", c.describe_input(1));
    expect_fits(c, 1, Shape{channels, Dim(1), Dim()});
    expect_fits(c, 2, Shape{channels});
    Dim kept = kernel - Dim(1);
    expect_fits(c, 3, Shape{batch, channels, kept});
    c.set_output(0, c.dtype(0), Shape{batch, channels, length});
    c.set_output(1, c.dtype(0), Shape{batch, channels, kept});
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0), w = d.input(1);
    const Type type = e.b.type(w);
    if (!type.shape || !(*type.shape)[0].is_known()) {
      fail(ErrorKind::Unsupported, "the number of channels is not known");
    }
    ValueId kept = e.sub(e.dim(w, 2), e.b.ints({1}));
    ValueId past =
        d.has_input(3) ? d.input(3) : e.fill(0, d.dtype(x), e.concat({e.dims(x, 0, 2), kept}));
    ValueId whole = e.concat({past, x}, 2);
    ValueId y = e("Conv", {whole, w, d.input(2)}, {{"group", (*type.shape)[0].value()}});
    if (activation_ != "none") y = e("Swish", {y});
    d.set(0, y);
    if (!d.has_output(1)) return;
    ValueId end = e.dim(whole, 2);
    d.set(1, e("Slice", {whole, e.sub(end, kept), end, e.b.ints({2})}));
  }

 private:
  std::string activation_ = "none";
};

}  // namespace

void register_linear_attention(OpRegistry& r) {
  r.add<LinearAttention>(
      {.name = "LinearAttention",
       .doc = "attention by a state that each step decays, corrects and reads",
       .since = {27},
       .inputs = {{"query", "T"},
                  {"key", "T"},
                  {"value", "T"},
                  {"past_state", "S", Param::Kind::Optional, InputRole::State},
                  {"decay", "T", Param::Kind::Optional},
                  {"beta", "T", Param::Kind::Optional}},
       .outputs = {{"output", "T"}, {"present_state", "S"}},
       .types = {with_own_double("T", dtypes::floats), with_own_double("S", dtypes::floats)},
       .gradient = GradientState::Decompose,
       .decomposes = true});
  r.add<CausalConvWithState>(
      {.name = "CausalConvWithState",
       .doc = "a convolution of each channel with what came before",
       .since = {27},
       .inputs = {{"input", "T"},
                  {"weight", "T", InputRole::Weight},
                  {"bias", "T", Param::Kind::Optional, InputRole::Bias},
                  {"past_state", "T", Param::Kind::Optional, InputRole::State}},
       .outputs = {{"output", "T"}, {"present_state", "T"}},
       .types = {with_own_double("T", dtypes::floats)},
       .kind = OpKind::Product,
       .gradient = GradientState::Decompose,
       .decomposes = true});
}

}  // namespace onnxrun
