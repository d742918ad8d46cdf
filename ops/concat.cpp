// Concat, Split, and onnxrun.JoinParts, the sum of parts that lie beside each other.
#include <algorithm>
#include <numeric>

#include "graph/channels_last.h"
#include "graph/gradient_context.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/array_functions.h"
#include "kernels/broadcast.h"
#include "kernels/data_movement.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// The copies between a tensor and its parts, which lie behind one another along an axis.
struct PartsState final : KernelState {
  size_t axis = 0;
  int64_t stride = 1;  // of the axis, in the whole
  std::vector<StridedCopy> copies;

  PartsState(const Dims& whole, int64_t axis_or_negative)
      : axis(static_cast<size_t>(
            normalize_axis(axis_or_negative, static_cast<int64_t>(whole.size())))),
        strides_(dense_strides(whole)) {
    stride = strides_[axis];
  }
  void join(const Dims& part) { copies.emplace_back(part, dense_strides(part), strides_); }
  void take(const Dims& part) { copies.emplace_back(part, strides_, dense_strides(part)); }

 private:
  std::vector<int64_t> strides_;
};

// The length of v along an axis, as a list of one.
ValueId length_along(GraphBuilder& b, ValueId v, int64_t axis) {
  Attributes range = {{"start", axis}};
  if (axis != -1) range["end"] = axis + 1;
  return b.add("Shape", {v}, std::move(range));
}

class Concat final : public Op, public HasChannelsLastForm {
 public:
  std::optional<ChannelsLastForm> channels_last_form(const Graph& graph,
                                                     const Node& node) const override {
    const int64_t rank = graph.value(node.outputs[0]).type.rank();
    if (rank < 2) return std::nullopt;
    const int64_t axis = normalize_axis(axis_, rank);
    const int64_t moved = axis == 0 ? 0 : axis == 1 ? rank - 1 : axis - 1;
    return ChannelsLastForm{.op = "Concat", .attributes = {{"axis", moved}}, .all_images = true};
  }

  void attributes(AttributeVisitor& v) override {
    v.required("axis", axis_, "the axis to join along");
  }

  void infer(InferContext& c) const override {
    std::optional<Shape> out;
    bool all = true;
    size_t first = 0;
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      const Shape* in = c.shape(i);
      if (!in) {
        all = false;
      } else if (!out) {
        out = *in;
        first = i;
      } else {
        join(c, first, i, *out);
      }
    }
    if (!out) return c.set_output(0, c.dtype(0));
    int64_t axis = checked_axis(c, axis_, static_cast<int64_t>(out->size()));
    if (!all) (*out)[static_cast<size_t>(axis)] = Dim();
    c.set_output(0, c.dtype(0), std::move(out));
    if (all) join_content(c);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<PartsState>(c.output(0).dims(), axis_);
    for (size_t i = 0; i < c.num_inputs(); ++i) state->join(c.input(i).dims());
    return state;
  }

  void run(RunContext& c) const override {
    const auto& state = c.state<PartsState>();
    dispatch_storage(c.output(0).dtype(), [&]<typename T>() {
      T* out = storage<T>(c.output(0));
      for (size_t i = 0; i < state.copies.size(); ++i) {
        state.copies[i].run(storage<T>(c.input(i)), out);
        out += c.input(i).dims()[state.axis] * state.stride;
      }
    });
  }

  void gradient(GradientContext& g) const override {
    GraphBuilder& b = g.builder();
    std::vector<ValueId> lengths;
    for (size_t i = 0; i < g.num_inputs(); ++i)
      lengths.push_back(length_along(b, g.input(i), axis_));
    ValueId sizes = g.add("Concat", lengths, {{"axis", int64_t{0}}});
    NodeOptions options;
    options.attributes = {{"axis", axis_}};
    std::vector<ValueId> parts =
        b.add_n("Split", {g.grad(0), sizes}, g.num_inputs(), std::move(options));
    for (size_t i = 0; i < parts.size(); ++i) g.set(i, parts[i]);
  }

 private:
  // Adds input i to the shape of those before it.
  void join(const InferContext& c, size_t first, size_t i, Shape& out) const {
    const Shape& in = *c.shape(i);
    auto mismatch = [&] {
      c.reject("inputs do not fit along axis {}: {}, {}", axis_, c.describe_input(first),
               c.describe_input(i));
    };
    if (in.size() != out.size()) mismatch();
    auto axis = static_cast<size_t>(checked_axis(c, axis_, static_cast<int64_t>(out.size())));
    for (size_t k = 0; k < in.size(); ++k) {
      if (k == axis) {
        out[k] = out[k] + in[k];
      } else if (out[k].is_known() && in[k].is_known()) {
        if (!(out[k] == in[k])) mismatch();
      } else if (!out[k].is_known() && !in[k].is_unknown() &&
                 (in[k].is_known() || out[k].is_unknown())) {
        out[k] = in[k];
      }
    }
  }

  static void join_content(InferContext& c) {
    if (c.rank(0) != 1 || !dtypes::index.contains(c.dtype(0))) return;
    Shape joined;
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      auto content = c.content(i);
      auto length = list_length(c, i);
      if (!content && (!length || *length > 64)) return;
      if (!content) content = unknown_shape(*length);
      joined.insert(joined.end(), content->begin(), content->end());
    }
    c.set_content(0, std::move(joined));
  }

  int64_t axis_ = 0;
};

class Split final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "the axis to split");
    v.visit("num_outputs", num_outputs_,
            "how many parts; all of one length but the last, which may be shorter");
  }

  void infer(InferContext& c) const override {
    size_t count = c.num_outputs();
    if (num_outputs_ && *num_outputs_ != static_cast<int64_t>(count)) {
      c.reject("num_outputs is {}, but there are {} outputs", *num_outputs_, count);
    }
    const Shape* in = c.shape(0);
    if (!in) {
      for (size_t i = 0; i < count; ++i) c.set_output(i, c.dtype(0));
      return;
    }
    auto axis = static_cast<size_t>(checked_axis(c, axis_, c.rank(0)));
    Shape lengths = c.has_input(1) ? given_lengths(c, (*in)[axis]) : equal_lengths(c, (*in)[axis]);
    auto content = c.content(0);
    size_t begin = 0;
    for (size_t i = 0; i < count; ++i) {
      Shape part = *in;
      part[axis] = lengths[i];
      c.set_output(i, c.dtype(0), std::move(part));
      if (!content || c.rank(0) != 1 || !lengths[i].is_known()) {
        content.reset();
        continue;
      }
      size_t end = begin + static_cast<size_t>(lengths[i].value());
      if (end > content->size()) return;
      c.set_content(i, Shape(content->begin() + static_cast<std::ptrdiff_t>(begin),
                             content->begin() + static_cast<std::ptrdiff_t>(end)));
      begin = end;
    }
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<PartsState>(c.input(0).dims(), axis_);
    for (size_t i = 0; i < c.num_outputs(); ++i) {
      state->take(c.has_output(i) ? c.output(i).dims() : Dims(c.input(0).dims().size(), 0));
    }
    return state;
  }

  void run(RunContext& c) const override {
    const auto& state = c.state<PartsState>();
    dispatch_storage(c.input(0).dtype(), [&]<typename T>() {
      const T* in = storage<T>(c.input(0));
      for (size_t i = 0; i < state.copies.size(); ++i) {
        if (c.has_output(i)) state.copies[i].run(in, storage<T>(c.output(i)));
        in += length_of_part(c, i, state.axis) * state.stride;
      }
    });
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    std::vector<ValueId> parts;
    for (size_t i = 0; i < g.num_outputs(); ++i) parts.push_back(g.grad(i));
    g.set(0, g.add("Concat", std::move(parts), {{"axis", axis_}}));
  }

 private:
  static int64_t length_of_part(const RunContext& c, size_t i, size_t axis) {
    if (c.has_output(i)) return c.output(i).dims()[axis];
    if (c.has_input(1)) return c.input(1).data<int64_t>()[i];
    return equal_length(c.input(0).dims()[axis], c.num_outputs(), i);
  }

  // Part i of `count`. The standard wants the last one shorter where the axis cannot be divided;
  // where that is not enough (5 into 4: 2, 2, 1), what is left over is empty.
  static int64_t equal_length(int64_t whole, size_t count, size_t i) {
    auto n = static_cast<int64_t>(count);
    int64_t length = whole / n + (whole % n != 0);
    return std::clamp(whole - static_cast<int64_t>(i) * length, int64_t{0}, length);
  }

  static Shape given_lengths(const InferContext& c, const Dim& whole) {
    size_t count = c.num_outputs();
    std::optional<Shape> lengths = requested_lengths(c, 1);
    if (!lengths) return Shape(count);
    if (lengths->size() != count) {
      c.reject("{} lengths are given for {} outputs", lengths->size(), count);
    }
    Dim sum(0);
    for (const Dim& d : *lengths) sum = sum + d;
    if (sum.is_known() && whole.is_known() && !(sum == whole)) {
      c.reject("lengths {} do not add up to {}", to_string(*lengths), whole.value());
    }
    return *lengths;
  }

  static Shape equal_lengths(const InferContext& c, const Dim& whole) {
    size_t count = c.num_outputs();
    Shape lengths;
    if (whole.is_known()) {
      for (size_t i = 0; i < count; ++i) {
        lengths.push_back(Dim(equal_length(whole.value(), count, i)));
      }
      return lengths;
    }
    Dim length = ceil_div(whole, Dim(static_cast<int64_t>(count)));
    lengths.assign(count, length);
    lengths.back() = whole - length * Dim(static_cast<int64_t>(count) - 1);
    return lengths;
  }

  int64_t axis_ = 0;
  std::optional<int64_t> num_outputs_;
};

// Before opset 4 the axis may be left out, and is 1.
void upgrade_concat(UpgradeContext& u) {
  if (u.opset() < 4 && !u.has_attribute("axis")) u.attributes()["axis"] = int64_t{1};
}

// Before opset 18 no part may be shorter than the others.
void check_equal_parts(UpgradeContext& u, int64_t count) {
  const Type& in = u.type(u.input(0));
  auto axis = u.attributes().find("axis");
  const auto* given = axis == u.attributes().end() ? nullptr : std::get_if<int64_t>(&axis->second);
  int64_t at = given ? *given : 0;
  if (!in.shape || at < -in.rank() || at >= in.rank()) return;
  const Dim& whole = (*in.shape)[static_cast<size_t>(at < 0 ? at + in.rank() : at)];
  if (whole.is_known() && whole.value() % count != 0) {
    fail(ErrorKind::BadModel, "axis {} of {} is not divisible into {} equal parts", at,
         in.to_string(), count);
  }
}

// As Concat, plus 0, which turns negative zeros: a sum of tensors that are zeros but for one part
// each. An input of fewer axes lacks the joined one.
class JoinParts final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.required("axis", axis_, "the axis to join along, counted from the front");
    v.required("lengths", lengths_, "of the inputs along the axis");
    v.required("rank", rank_, "how many axes the result has");
  }

  void infer(InferContext& c) const override {
    const int64_t whole = std::accumulate(lengths_.begin(), lengths_.end(), int64_t{0});
    if (axis_ < 0 || axis_ >= rank_ || lengths_.size() != c.num_inputs()) {
      c.reject("{} lengths along axis {} of {} axes for {} inputs", lengths_.size(), axis_, rank_,
               c.num_inputs());
    }
    if (!c.shape(0)) return c.set_output(0, c.dtype(0), Shape(static_cast<size_t>(rank_)));
    Shape out = *c.shape(0);
    if (c.rank(0) < rank_) out.insert(out.begin() + axis_, Dim(1));
    if (static_cast<int64_t>(out.size()) != rank_) {
      c.reject("{}, expected {} axes", c.describe_input(0), rank_);
    }
    out[static_cast<size_t>(axis_)] = Dim(whole);
    c.set_output(0, c.dtype(0), std::move(out));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<Rows>();
    const Dims& out = c.output(0).dims();
    const auto axis = static_cast<size_t>(axis_);
    state->whole = out[axis];
    for (size_t i = 0; i < out.size(); ++i) {
      if (i != axis) (i < axis ? state->outer : state->inner) *= out[i];
    }
    for (size_t i = 0; i < c.num_inputs(); ++i) {
      if (c.input(i).size() == state->outer * lengths_[i] * state->inner) continue;
      fail(ErrorKind::BadInput, "{} is no part of {} along axis {}", c.input(i).type_text(),
           c.output(0).type_text(), axis_);
    }
    return state;
  }

  void run(RunContext& c) const override {
    const auto& rows = c.state<Rows>();
    dispatch_float(c.output(0).dtype(), [&]<typename T>() {
      T* out = c.output(0).data<T>();
      for (size_t i = 0; i < lengths_.size(); ++i) {
        const int64_t n = lengths_[i] * rows.inner;
        place(c.input(i).data<T>(), n, rows, out);
        out += n;
      }
    });
  }

  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    std::vector<ValueId> parts;
    for (size_t i = 0; i < d.num_inputs(); ++i) {
      const bool lacks_axis = d.type(d.input(i)).rank() < rank_;
      parts.push_back(lacks_axis ? b.unsqueeze(d.input(i), {axis_}) : d.input(i));
    }
    ValueId whole = b.add("Concat", std::move(parts), {{"axis", axis_}});
    d.set(0, b.add("Add", {whole, b.scalar_like(0, whole)}));
  }

 private:
  // The result as [outer, whole, inner].
  struct Rows final : KernelState {
    int64_t outer = 1, whole = 1, inner = 1;
  };

  // `n` elements of `part` to each row of `out`.
  template <typename T>
  static void place(const T* part, int64_t n, const Rows& rows, T* out) {
    const int64_t stride = rows.whole * rows.inner;
    if (rows.outer == 1) {
      return parallel_for(n, elementwise_grain, [&](int64_t begin, int64_t end) {
        add_zero(part + begin, end - begin, out + begin);
      });
    }
    const int64_t grain = std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, n));
    parallel_for(rows.outer, grain, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) add_zero(part + o * n, n, out + o * stride);
    });
  }

  template <typename T>
  static void add_zero(const T* x, int64_t n, T* y) {
    using C = ComputeType<T>;
    if constexpr (std::is_same_v<T, C>) {
      static constexpr T zero = 0;
      const void* operands[] = {x, &zero};
      array_function<T>(ElementFunction::Add)(operands, 2, y, n);
    } else {
      for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(static_cast<C>(x[i]) + C(0));
    }
  }

  int64_t axis_ = 0, rank_ = 0;
  std::vector<int64_t> lengths_;
};

// Lengths were an input of the data's type in opset 1 (besides an attribute), an attribute up to
// 11, and are an input again. Equal parts are said by their number since 18.
void upgrade_split(UpgradeContext& u) {
  if (u.opset() < 2 && u.has_input(1)) {
    u.set_input(1, u.builder().cast(u.input(1), DType::Int64));
  }
  if (u.opset() < 13 && !u.has_input(1)) u.attribute_to_input("split", 1);
  if (u.opset() < 13) u.take<std::vector<int64_t>>("split");
  bool numbered = u.has_attribute("num_outputs");
  if (u.opset() >= 18) {
    if (numbered == u.has_input(1)) {
      fail(ErrorKind::BadModel, "{} attribute 'num_outputs' given, expected one of them",
           numbered ? "both input 'split' and" : "neither input 'split' nor");
    }
  } else if (!u.has_input(1)) {
    auto count = static_cast<int64_t>(u.num_outputs());
    check_equal_parts(u, count);
    u.attributes()["num_outputs"] = count;
  }
}

}  // namespace

void register_concat(OpRegistry& r) {
  r.add<Concat>({.name = "Concat",
                 .doc = "tensors behind one another along an axis",
                 .since = {1, 4, 11, 13},
                 .inputs = {{"inputs", "T", Param::Kind::Variadic}},
                 .outputs = {{"concat_result", "T"}},
                 .types = {{"T", dtypes::basic}},
                 .kind = OpKind::Move,
                 .upgrade = upgrade_concat});
  r.add<Split>({.name = "Split",
                .doc = "parts of a tensor along an axis",
                .since = {1, 2, 11, 13, 18},
                .inputs = {{"input", "T"},
                           {"split", "tensor(int64)", Param::Kind::Optional, InputRole::Setting}},
                .outputs = {{"outputs", "T", Param::Kind::Variadic}},
                .types = {{"T", dtypes::basic}, {"tensor(int64)", DType::Int64}},
                .kind = OpKind::Move,
                .upgrade = upgrade_split});
  r.add<JoinParts>({.name = "JoinParts",
                    .domain = private_domain,
                    .doc = "tensors behind one another along an axis, plus 0",
                    .since = {1},
                    .inputs = {{"parts", "T", Param::Kind::Variadic}},
                    .outputs = {{"whole", "T"}},
                    .types = {{"T", dtypes::floats}},
                    .gradient = GradientState::Decompose,
                    .decomposes = true});
}

}  // namespace onnxrun
