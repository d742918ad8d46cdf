// Gather, and onnxrun.GatherGrad, which adds rows up where Gather takes them from.
#include <algorithm>

#include "graph/gradient_context.h"
#include "graph/part_of_whole.h"
#include "graph/quantized_form.h"
#include "graph/run_context.h"
#include "kernels/data_movement.h"
#include "kernels/index_places.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// data seen as [outer, length, inner], indices as a list.
struct GatherPlan final : KernelState {
  int64_t outer = 1, length = 1, inner = 1, count = 0;

  GatherPlan(const Dims& data, int64_t axis, int64_t indices) : count(indices) {
    auto a = static_cast<size_t>(normalize_axis(axis, static_cast<int64_t>(data.size())));
    for (size_t i = 0; i < a; ++i) outer *= data[i];
    length = data[a];
    for (size_t i = a + 1; i < data.size(); ++i) inner *= data[i];
  }
};

class Gather final : public Op, public WorksOnLevels {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "the axis to choose along");
  }

  void infer(InferContext& c) const override {
    if (!c.shape(0)) return c.set_output(0, c.dtype(0));
    int64_t axis = checked_axis(c, axis_, c.rank(0));
    if (!c.shape(1)) return c.set_output(0, c.dtype(0));
    Shape out(c.shape(0)->begin(), c.shape(0)->begin() + axis);
    out.insert(out.end(), c.shape(1)->begin(), c.shape(1)->end());
    out.insert(out.end(), c.shape(0)->begin() + axis + 1, c.shape(0)->end());
    c.set_output(0, c.dtype(0), std::move(out));
    gather_content(c);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return std::make_unique<GatherPlan>(c.input(0).dims(), axis_, c.input(1).size());
  }

  void run(RunContext& c) const override {
    const auto& plan = c.state<GatherPlan>();
    dispatch<int64_t, int32_t>(c.input(1).dtype(), [&]<typename I>() {
      dispatch_storage(c.input(0).dtype(), [&]<typename T>() {
        take(plan, storage<T>(c.input(0)), c.input(1).data<I>(), storage<T>(c.output(0)));
      });
    });
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    ValueId shape = g.builder().shape_of(g.input(0));
    g.set(0, g.add("onnxrun.GatherGrad", {g.grad(0), g.input(1), shape}, {{"axis", axis_}}));
  }

 private:
  template <typename T, typename I>
  static void take(const GatherPlan& plan, const T* data, const I* indices, T* out) {
    auto rows = [&](int64_t begin, int64_t end) {
      int64_t o = begin / plan.count, k = begin % plan.count;
      for (int64_t r = begin; r < end; ++r) {
        int64_t at = o * plan.length + checked_index(indices[k], plan.length);
        if (plan.inner == 1) {
          out[r] = data[at];
        } else {
          std::copy_n(data + at * plan.inner, plan.inner, out + r * plan.inner);
        }
        if (++k < plan.count) continue;
        k = 0;
        ++o;
      }
    };
    constexpr int64_t grain = 16384;
    int64_t n = plan.outer * plan.count;
    if (n == 0) return;
    if (n * plan.inner <= grain) return rows(0, n);
    parallel_for(n, std::max<int64_t>(1, grain / plan.inner), rows);
  }

  static void gather_content(InferContext& c) {
    auto content = c.content(0);
    auto indices = c.ints(1);
    if (!content || !indices || c.rank(0) != 1 || c.rank(1) > 1) return;
    constexpr size_t most = 1024;
    if (indices->size() > most) return;
    auto length = static_cast<int64_t>(content->size());
    Shape chosen;
    for (int64_t i : *indices) {
      if (i < -length || i >= length) return;
      chosen.push_back((*content)[static_cast<size_t>(i < 0 ? i + length : i)]);
    }
    c.set_content(0, std::move(chosen));
  }

  int64_t axis_ = 0;
};

class GatherGrad final : public Op, public FillsPart {
 public:
  std::optional<Stretch> stretch(const Graph& graph, const Node& node) const override {
    const Tensor* index = graph.constant(node.inputs[1]);
    const Type& out = graph.value(node.outputs[0]).type;
    if (!index || index->size() != 1 || out.rank() < 1) return std::nullopt;
    const int64_t axis = normalize_axis(axis_, out.rank());
    const Dim& whole = (*out.shape)[static_cast<size_t>(axis)];
    if (!whole.is_known()) return std::nullopt;
    int64_t at = to_int64s(*index)[0];
    if (at < -whole.value() || at >= whole.value()) return std::nullopt;
    return Stretch{axis, at < 0 ? at + whole.value() : at, 1, whole.value()};
  }

  void attributes(AttributeVisitor& v) override { v.visit("axis", axis_, "Gather's axis"); }

  void infer(InferContext& c) const override {
    std::optional<Shape> shape = requested_lengths(c, 2);
    if (shape) checked_axis(c, axis_, static_cast<int64_t>(shape->size()));
    c.set_output(0, c.dtype(0), std::move(shape));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    if (bits_of(c.output(0).dtype()) == 16) c.request_scratch(c.output(0).size() * 4);
    auto plan = std::make_unique<GatherPlan>(c.output(0).dims(), axis_, c.input(1).size());
    if (c.input(0).size() != plan->outer * plan->count * plan->inner) {
      fail(ErrorKind::BadInput, "dy is {}, which is not {} rows of {}", c.input(0).type_text(),
           plan->outer * plan->count, plan->inner);
    }
    return plan;
  }

  void run(RunContext& c) const override {
    const auto& plan = c.state<GatherPlan>();
    dispatch<int64_t, int32_t>(c.input(1).dtype(), [&]<typename I>() {
      dispatch_float(c.output(0).dtype(), [&]<typename T>() {
        T* out = c.output(0).data<T>();
        const T* dy = c.input(0).data<T>();
        const I* indices = c.input(1).data<I>();
        if constexpr (std::is_same_v<T, ComputeType<T>>) {
          add(plan, dy, indices, out);
        } else {
          auto* sums = reinterpret_cast<float*>(c.scratch());
          add(plan, dy, indices, sums);
          for (int64_t i = 0; i < c.output(0).size(); ++i) out[i] = T(sums[i]);
        }
      });
    });
  }

  // It is linear in dy, and Gather is its transpose.
  void gradient(GradientContext& g) const override {
    if (g.wants(0)) g.set(0, g.add("Gather", {g.grad(0), g.input(1)}, {{"axis", axis_}}));
  }

  // ScatterElements wants an index for each element of dy.
  void decompose(DecomposeContext& d) const override {
    GraphBuilder& b = d.builder();
    auto part = [&](int64_t begin, int64_t end) {
      return b.add("Slice", {d.input(2), b.ints({begin}), b.ints({end})});
    };
    auto ones_for = [&](ValueId lengths) {
      return b.add("ConstantOfShape", {b.shape_of(lengths)},
                   {{"value", Tensor::of<int64_t>({1}, {1})}});
    };
    auto join = [&](ValueId before, ValueId count, ValueId behind) {
      return b.add("Concat", {before, count, behind}, {{"axis", int64_t{0}}});
    };
    ValueId outer = part(0, axis_), inner = part(axis_ == -1 ? INT64_MAX : axis_ + 1, INT64_MAX);
    ValueId count = b.reshape(b.add("Size", {d.input(1)}), b.ints({1}));
    ValueId rows = b.reshape(d.input(1), join(ones_for(outer), count, ones_for(inner)));
    ValueId shape = join(outer, count, inner);
    ValueId zeros =
        b.add("ConstantOfShape", {d.input(2)},
              {{"value", convert(Tensor::of<float>({1}, {0.0f}), d.dtype(d.input(0)))}});
    d.set(0, b.add("ScatterElements",
                   {zeros, b.add("Expand", {rows, shape}), b.reshape(d.input(0), shape)},
                   {{"axis", axis_}, {"reduction", std::string("add")}}));
  }

 private:
  // Each thread has columns of its own and adds rows in the order of their indices, so sums come
  // out the same however many threads there are.
  template <typename T, typename I, typename S>
  static void add(const GatherPlan& plan, const T* dy, const I* indices, S* sums) {
    std::fill_n(sums, plan.outer * plan.length * plan.inner, S(0));
    auto columns = [&](int64_t o, int64_t begin, int64_t end) {
      for (int64_t k = 0; k < plan.count; ++k) {
        S* to = sums + (o * plan.length + checked_index(indices[k], plan.length)) * plan.inner;
        const T* from = dy + (o * plan.count + k) * plan.inner;
        for (int64_t i = begin; i < end; ++i) to[i] += static_cast<S>(from[i]);
      }
    };
    constexpr int64_t grain = 16384;
    if (plan.outer * plan.count * plan.inner <= grain) {
      for (int64_t o = 0; o < plan.outer; ++o) columns(o, 0, plan.inner);
    } else {
      // At least a cache line of columns each.
      int64_t width =
          std::clamp<int64_t>(grain / std::max<int64_t>(plan.count, 1), 32, plan.inner + 32);
      int64_t pieces = (plan.inner + width - 1) / width;
      parallel_for(plan.outer * pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
          int64_t first = p % pieces * width;
          columns(p / pieces, first, std::min(first + width, plan.inner));
        }
      });
    }
  }

  int64_t axis_ = 0;
};

}  // namespace

void register_gather(OpRegistry& r) {
  r.add<Gather>({.name = "Gather",
                 .doc = "the slices of an axis that indices name",
                 .since = {1, 11, 13},
                 .inputs = {{"data", "T", InputRole::Table}, {"indices", "Tind", InputRole::Index}},
                 .outputs = {{"output", "T"}},
                 .types = {{"T", dtypes::basic}, {"Tind", dtypes::index}},
                 .kind = OpKind::Move});
  r.add<GatherGrad>(
      {.name = "GatherGrad",
       .domain = private_domain,
       .doc = "zeros in the given shape, plus dy's slices where Gather reads them",
       .since = {1},
       .inputs = {{"dy", "T"}, {"indices", "Tind"}, {"shape", "tensor(int64)"}},
       .outputs = {{"dx", "T"}},
       .types = {{"T", dtypes::floats}, {"Tind", dtypes::index}, {"tensor(int64)", DType::Int64}},
       .decomposes = true});
}

}  // namespace onnxrun
