// Expand, Tile: elements repeated along axes.
#include <algorithm>

#include "graph/gradient_context.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/data_movement.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

struct CopyState final : KernelState {
  StridedCopy copy;
  bool lengths_known = false;
};

class RepeatOp : public Op {
 public:
  void run(RunContext& c) const override {
    const StridedCopy& copy = c.state<CopyState>().copy;
    move_elements(c.input(0), c.output(0), [&](const auto* in, auto* out) { copy.run(in, out); });
  }
};

class Expand final : public RepeatOp {
 public:
  OpTraits traits() const override { return {.noop_if_same_type = true}; }

  void infer(InferContext& c) const override {
    std::optional<Shape> wanted = requested_lengths(c, 1), result;
    if (wanted && c.shape(0)) {
      try {
        result = broadcast(*c.shape(0), *wanted);
      } catch (const Error&) {
        c.reject("{} does not broadcast to {}", c.describe_input(0), to_string(*wanted));
      }
    }
    c.set_output(0, c.dtype(0), result);
    auto content = c.content(0);
    bool list =
        result && result->size() == 1 && (*result)[0].is_known() && (*result)[0].value() <= 64;
    if (!content || !list) return;
    auto n = static_cast<size_t>((*result)[0].value());
    if (content->size() == n) c.set_content(0, std::move(*content));
    if (content->size() == 1) c.set_content(0, Shape(n, (*content)[0]));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<CopyState>();
    const Dims &in = c.input(0).dims(), &out = c.output(0).dims();
    std::vector<int64_t> dense = dense_strides(in), steps(out.size(), 0);
    for (size_t i = 0; i < in.size(); ++i) {
      if (in[i] != 1) steps[out.size() - in.size() + i] = dense[i];
    }
    state->copy = StridedCopy(out, steps, dense_strides(out));
    state->lengths_known = c.constant(1) != nullptr;
    return state;
  }

  void run(RunContext& c) const override {
    if (!c.state<CopyState>().lengths_known) check_lengths(c);
    RepeatOp::run(c);
  }

  // Summing over what was repeated is the pass's business.
  void gradient(GradientContext& g) const override { g.set(0, g.grad(0)); }

 private:
  // Lengths that only the run knows were taken for ones that fit.
  static void check_lengths(const RunContext& c) {
    std::vector<int64_t> wanted = to_int64s(c.input(1));
    const Dims& out = c.output(0).dims();
    size_t offset = out.size() - wanted.size();
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] != 1 && wanted[i] != out[offset + i]) {
        fail(ErrorKind::BadInput, "{} does not broadcast to {}", c.input(0).type_text(),
             to_string(wanted));
      }
    }
  }
};

class Tile final : public RepeatOp {
 public:
  void infer(InferContext& c) const override {
    const Shape* in = c.shape(0);
    if (!in) return c.set_output(0, c.dtype(0));
    std::optional<Shape> repeats = requested_lengths(c, 1);
    if (!repeats) return c.set_output(0, c.dtype(0), Shape(in->size()));
    if (repeats->size() != in->size()) {
      c.reject("{} repeats are given for {}", repeats->size(), c.describe_input(0));
    }
    Shape out;
    for (size_t i = 0; i < in->size(); ++i) out.push_back((*in)[i] * (*repeats)[i]);
    c.set_output(0, c.dtype(0), std::move(out));
  }

  // Each axis is two: which repetition, and which element.
  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<CopyState>();
    const Dims &in = c.input(0).dims(), &out = c.output(0).dims();
    std::vector<int64_t> in_dense = dense_strides(in), out_dense = dense_strides(out);
    std::vector<int64_t> dims, from, to;
    for (size_t i = 0; i < in.size(); ++i) {
      int64_t repeats = in[i] == 0 ? 0 : out[i] / in[i];
      dims.insert(dims.end(), {repeats, in[i]});
      from.insert(from.end(), {0, in_dense[i]});
      to.insert(to.end(), {in[i] * out_dense[i], out_dense[i]});
    }
    state->copy = StridedCopy(dims, from, to);
    return state;
  }

  // Every repetition's cotangent adds up: each axis is split as in prepare(), and the repetitions
  // summed.
  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    GraphBuilder& b = g.builder();
    int64_t rank = g.rank(g.input(0));
    if (rank < 0) fail(ErrorKind::Unsupported, "the gradient needs an input of known rank");
    ValueId shape = b.shape_of(g.input(0)), pair = b.ints({-1, 1});
    ValueId split = b.reshape(g.add("Concat", {b.reshape(g.input(1), pair), b.reshape(shape, pair)},
                                    {{"axis", int64_t{1}}}),
                              b.ints({-1}));
    std::vector<int64_t> repetitions;
    for (int64_t i = 0; i < rank; ++i) repetitions.push_back(2 * i);
    g.set(0, b.reduce_sum(b.reshape(g.grad(0), split), repetitions, false));
  }
};

// Opset 1: one axis, and how often; both are inputs.
void upgrade_tile(UpgradeContext& u) {
  if (u.opset() >= 6) return;
  GraphBuilder& b = u.builder();
  auto as_list = [&](ValueId v) { return b.reshape(b.cast(v, DType::Int64), b.ints({1})); };
  ValueId rank = b.add("Size", {b.shape_of(u.input(0))});
  ValueId axes = b.add("Range", {b.int_scalar(0), rank, b.int_scalar(1)});
  ValueId chosen = b.add("Equal", {axes, as_list(u.input(2))});
  ValueId repeats = b.add("Where", {chosen, as_list(u.input(1)), b.ints({1})});
  u.inputs() = {u.input(0), repeats};
}

}  // namespace

void register_repeat(OpRegistry& r) {
  r.add<Expand>({.name = "Expand",
                 .doc = "the input broadcast with a shape",
                 .since = {8, 13},
                 .inputs = {{"input", "T"}, {"shape", "tensor(int64)", InputRole::Setting}},
                 .outputs = {{"output", "T"}},
                 .types = {{"T", dtypes::basic}, {"tensor(int64)", DType::Int64}},
                 .kind = OpKind::Move});
  r.add<Tile>({.name = "Tile",
               .doc = "the input repeated along each axis",
               .since = {1, 6, 13},
               .inputs = {{"input", "T"}, {"repeats", "T1", InputRole::Setting}},
               .outputs = {{"output", "T"}},
               .types = {{"T", dtypes::basic}, {"T1", DType::Int64}},
               .kind = OpKind::Move,
               .upgrade = upgrade_tile});
}

}  // namespace onnxrun
