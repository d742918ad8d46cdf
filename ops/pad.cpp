// Pad.
#include <algorithm>

#include "emit/plain_pad.h"
#include "emit/scatter_back.h"
#include "graph/gradient_context.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/data_movement.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// How many elements are added (or, if negative, dropped) at the ends of each axis.
struct Pads {
  std::vector<int64_t> begin, end;
};

// Sums of a few of these and a length do not overflow.
constexpr int64_t max_pad = INT64_MAX / 4;

// The pads of all axes from those of some.
Pads pads_of(const std::vector<int64_t>& given, const std::vector<int64_t>& axes, int64_t rank) {
  if (given.size() != 2 * axes.size()) {
    fail(ErrorKind::BadInput, "{} pads are given for {} axes", given.size(), axes.size());
  }
  Pads pads{std::vector<int64_t>(static_cast<size_t>(rank), 0), {}};
  pads.end = pads.begin;
  for (int64_t pad : given) {
    if (pad < -max_pad || pad > max_pad) fail(ErrorKind::Limit, "a pad is {}", pad);
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    auto a = static_cast<size_t>(normalize_axis(axes[i], rank));
    pads.begin[a] = given[i];
    pads.end[a] = given[axes.size() + i];
  }
  return pads;
}

std::vector<int64_t> all_axes(int64_t rank) {
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

int64_t modulo(int64_t a, int64_t b) { return a % b + (a % b < 0 ? b : 0); }

// The element that place `at` shows; places before 0 and from `length` on are padding.
int64_t edge(int64_t at, int64_t length) { return std::clamp<int64_t>(at, 0, length - 1); }
int64_t wrap(int64_t at, int64_t length) { return modulo(at, length); }
int64_t reflect(int64_t at, int64_t length) {
  if (length == 1) return 0;
  int64_t period = 2 * (length - 1), phase = modulo(at, period);
  return phase < length ? phase : period - phase;
}

// Constant padding: the inner block that both tensors share.
struct InnerBlock {
  int64_t in_offset = 0, out_offset = 0;
  StridedCopy copy;

  InnerBlock(const Dims& in, const Dims& out, const Pads& pads) {
    std::vector<int64_t> in_strides = dense_strides(in), out_strides = dense_strides(out), dims;
    for (size_t i = 0; i < in.size(); ++i) {
      int64_t skipped = std::max<int64_t>(0, -pads.begin[i]),
              added = std::max<int64_t>(0, pads.begin[i]);
      dims.push_back(std::max<int64_t>(0, std::min(in[i] - skipped, out[i] - added)));
      in_offset += skipped * in_strides[i];
      out_offset += added * out_strides[i];
    }
    copy = StridedCopy(dims, in_strides, out_strides);
  }

  template <typename T>
  void run(const T* in, T* out, int64_t size, const T& value) const {
    if (copy.size() != size) std::fill_n(out, size, value);
    if (copy.size() > 0) copy.run(in + in_offset, out + out_offset);
  }
};

// The other modes: for each axis and place the offset of the element that is shown there.
struct PlaceTables {
  std::vector<std::vector<int64_t>> offsets;

  // Checks `control`, if there is one, as tables may be as long as the output.
  PlaceTables(const Dims& in, const Dims& out, const Pads& pads, int64_t (*shown)(int64_t, int64_t),
              const RunControl* control) {
    std::vector<int64_t> strides = dense_strides(in);
    for (size_t a = 0; a < in.size(); ++a) {
      std::vector<int64_t>& table = offsets.emplace_back(static_cast<size_t>(out[a]));
      // What repeats is what negative pads leave, as in PyTorch and ONNX Runtime.
      bool repeats = shown == wrap;
      int64_t skipped = repeats ? std::max<int64_t>(0, -pads.begin[a]) : 0;
      int64_t length = in[a] - skipped - (repeats ? std::max<int64_t>(0, -pads.end[a]) : 0);
      if (length <= 0 && out[a] > 0) {
        fail(ErrorKind::BadInput, "pads {} and {} leave nothing to repeat of an axis of length {}",
             pads.begin[a], pads.end[a], in[a]);
      }
      for (int64_t i = 0; i < out[a]; ++i) {
        if (control && i % 65536 == 0) control->check();
        int64_t at = shown(i - pads.begin[a] - skipped, length) + skipped;
        table[static_cast<size_t>(i)] = at * strides[a];
      }
    }
  }

  template <typename T>
  void run(const T* in, T* out, int64_t size) const {
    if (size == 0) return;
    if (offsets.empty()) {
      *out = *in;
      return;
    }
    const std::vector<int64_t>& row = offsets.back();
    auto length = static_cast<int64_t>(row.size());
    parallel_for(size / length, std::max<int64_t>(1, 16384 / length),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t r = begin; r < end; ++r) {
                     const T* from = in;
                     int64_t rest = r;
                     for (size_t a = offsets.size() - 1; a-- > 0;) {
                       auto n = static_cast<int64_t>(offsets[a].size());
                       from += offsets[a][static_cast<size_t>(rest % n)];
                       rest /= n;
                     }
                     T* to = out + r * length;
                     for (int64_t i = 0; i < length; ++i) to[i] = from[row[static_cast<size_t>(i)]];
                   }
                 });
  }
};

struct PadState final : KernelState {
  std::optional<InnerBlock> block;
  std::optional<PlaceTables> tables;
};

class Pad final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("mode", mode_, "what is put there: 'constant', 'reflect', 'edge' or 'wrap'");
  }

  bool emit_plain(Graph& graph, Node& node) const override { return emit_plain_pad(graph, node); }

  void infer(InferContext& c) const override {
    if (mode_ != "constant" && !shown()) {
      c.reject("mode is '{}', expected 'constant', 'reflect', 'edge' or 'wrap'", mode_);
    }
    const Shape* in = c.shape(0);
    if (!in) return c.set_output(0, c.dtype(0));
    std::optional<std::vector<int64_t>> axes = all_axes(c.rank(0));
    if (c.has_input(3)) axes = c.ints(3);
    std::optional<Shape> pads = requested_shape(c, 1);
    if (!axes || !pads) return c.set_output(0, c.dtype(0), Shape(in->size()));
    axes = checked_axes(c, *axes, c.rank(0));
    if (pads->size() != 2 * axes->size()) {
      c.reject("{} pads are given for {} axes of {}", pads->size(), axes->size(),
               c.describe_input(0));
    }
    Shape out = *in;
    for (size_t i = 0; i < axes->size(); ++i) {
      auto a = static_cast<size_t>((*axes)[i]);
      out[a] = padded(c, (*in)[a], (*pads)[i], (*pads)[axes->size() + i]);
    }
    c.set_output(0, c.dtype(0), std::move(out));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<PadState>();
    bool known = c.constant(1) && (!c.has_input(3) || c.constant(3));
    // Long tables wait for the run, which has memory for the output and can be ended.
    if (known && (!shown() || c.output(0).size() <= max_prepared)) {
      fill(*state, c.input(0), c.output(0), *c.constant(1),
           c.has_input(3) ? c.constant(3) : nullptr, nullptr);
    }
    return state;
  }

  void run(RunContext& c) const override {
    const auto& prepared = c.state<PadState>();
    if (prepared.block || prepared.tables) return pad(c, prepared);
    PadState state;
    fill(state, c.input(0), c.output(0), c.input(1), c.has_input(3) ? &c.input(3) : nullptr,
         &c.control());
    pad(c, state);
  }

  // What was added goes, and what was dropped gets zeros: padding by the negative amounts. All that
  // was added is the constant's.
  void gradient(GradientContext& g) const override {
    GraphBuilder& b = g.builder();
    if (mode_ != "constant") return gradient_of_copies(g);
    ValueId inner = g.add("Pad", {g.grad(0), g.neg(g.input(1)), no_value, g.input(3)});
    g.set(0, inner);
    if (!g.wants(2)) return;
    auto sum = [&](ValueId v) { return g.add("ReduceSum", {v}, {{"keepdims", int64_t{0}}}); };
    g.set(2, b.reshape_like(g.minus(sum(g.grad(0)), sum(inner)), g.input(2)));
  }

 private:
  using Shown = int64_t (*)(int64_t, int64_t);
  static constexpr int64_t max_prepared = 1 << 24;

  Shown shown() const {
    if (mode_ == "reflect") return reflect;
    if (mode_ == "edge") return edge;
    return mode_ == "wrap" ? wrap : nullptr;
  }

  Dim padded(const InferContext& c, const Dim& in, const Dim& begin, const Dim& end) const {
    Dim out = in + begin + end;
    if (out.is_known() && out.value() < 0) {
      c.reject("pads {} and {} leave nothing of an axis of length {}", begin.to_string(),
               end.to_string(), in.to_string());
    }
    if (shown() && in.is_known() && in.value() == 0 && !(out == Dim(0))) {
      c.reject("mode '{}' has nothing to fill an axis of length 0 with", mode_);
    }
    return out;
  }

  void fill(PadState& state, const Tensor& in, const Tensor& out, const Tensor& given,
            const Tensor* axes, const RunControl* control) const {
    Pads pads = pads_of(to_int64s(given), axes ? to_int64s(*axes) : all_axes(in.rank()), in.rank());
    if (shown()) {
      state.tables.emplace(in.dims(), out.dims(), pads, shown(), control);
    } else {
      state.block.emplace(in.dims(), out.dims(), pads);
    }
  }

  static void pad(RunContext& c, const PadState& state) {
    const Tensor& in = c.input(0);
    Tensor& out = c.output(0);
    const Tensor* value = c.has_input(2) ? &c.input(2) : nullptr;
    if (value && value->size() != 1) {
      fail(ErrorKind::BadInput, "constant_value is {}, expected one element", value->type_text());
    }
    bool packed = is_packed(in.dtype());
    Tensor bits = packed && value ? unpack_elements(*value) : Tensor();
    if (packed && value) value = &bits;
    move_elements(in, out, [&]<typename T>(const T* from, T* to) {
      if (state.tables) return state.tables->run(from, to, out.size());
      state.block->run(from, to, out.size(), value ? *storage<T>(*value) : T{});
    });
  }

  void gradient_of_copies(GradientContext& g) const {
    if (!g.wants(0)) return;
    g.set(0,
          scatter_back(
              g.builder(), g.builder().shape_of(g.input(0)), g.grad(0), [&](ValueId numbers) {
                return g.add("Pad", {numbers, g.input(1), no_value, g.input(3)}, {{"mode", mode_}});
              }));
  }

  std::string mode_ = "constant";
};

// Before opset 11 pads (in opset 1 `paddings`) and value are attributes.
void upgrade_pad(UpgradeContext& u) {
  if (u.opset() >= 11) return;
  u.attribute_to_input("paddings", 1);
  u.attribute_to_input("pads", 1);
  auto value = u.take<float>("value");
  if (value && *value != 0) {
    u.set_input(2, u.builder().scalar(static_cast<double>(*value), u.type(u.input(0)).dtype));
  }
}

}  // namespace

void register_pad(OpRegistry& r) {
  r.add<Pad>(
      {.name = "Pad",
       .doc = "elements added at, or dropped from, the ends of axes",
       .since = {1, 2, 11, 13, 18, 19, 21, 23, 24, 25},
       .inputs = {{"data", "T"},
                  {"pads", "tensor(int64)", InputRole::Setting},
                  {"constant_value", "T", Param::Kind::Optional, InputRole::Setting},
                  {"axes", "Tind", Param::Kind::Optional, InputRole::Setting}},
       .outputs = {{"output", "T"}},
       .types = {{"T", dtypes::all}, {"tensor(int64)", DType::Int64}, {"Tind", dtypes::index}},
       .kind = OpKind::Move,
       .upgrade = upgrade_pad});
}

}  // namespace onnxrun
