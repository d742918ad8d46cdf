// Slice, and onnxrun.SliceGrad, which puts a cotangent back where the slice was.
#include <algorithm>
#include <limits>

#include "emit/scatter_back.h"
#include "graph/gradient_context.h"
#include "graph/part_of_whole.h"
#include "graph/quantized_form.h"
#include "graph/run_context.h"
#include "graph/upgrade_context.h"
#include "kernels/data_movement.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

// What starts, ends, axes and steps say, as lists of equal length.
struct SliceLists {
  std::vector<int64_t> starts, ends, axes, steps;
};

// One axis of a slice: `count` elements from `start` on, `step` apart.
struct SliceAxis {
  int64_t start = 0, count = 0, step = 1;
};

// The standard's clamping for an axis of the given length.
SliceAxis slice_axis(int64_t start, int64_t end, int64_t step, int64_t length) {
  auto place = [&](int64_t at, int64_t low, int64_t high) {
    if (at < 0) at = at < -length ? low : at + length;
    return std::clamp(at, low, high);
  };
  if (length == 0) return {0, 0, step};
  if (step > 0) {
    start = place(start, 0, length);
    end = place(end, 0, length);
    // Written so that huge steps do not overflow.
    return {start, end > start ? (end - start - 1) / step + 1 : 0, step};
  }
  start = place(start, 0, length - 1);
  // One before the first element is -1, which as an input would count from the end.
  end = end < -length ? -1 : place(end, -1, length - 1);
  return {start, start > end ? (start - end - 1) / (step == INT64_MIN ? INT64_MAX : -step) + 1 : 0,
          step};
}

std::vector<SliceAxis> slice_axes(const SliceLists& lists, std::span<const int64_t> dims) {
  std::vector<SliceAxis> axes;
  for (int64_t length : dims) axes.push_back({0, length, 1});
  for (size_t i = 0; i < lists.axes.size(); ++i) {
    auto a = static_cast<size_t>(lists.axes[i]);
    axes[a] = slice_axis(lists.starts[i], lists.ends[i], lists.steps[i], dims[a]);
  }
  return axes;
}

// Where a slice of a tensor is, and the copy between it and a dense tensor.
struct SlicePlace {
  int64_t offset = 0;
  std::vector<int64_t> dims, strides;

  SlicePlace(const std::vector<SliceAxis>& axes, std::span<const int64_t> whole) {
    std::vector<int64_t> dense = dense_strides(whole);
    for (size_t i = 0; i < axes.size(); ++i) {
      offset += axes[i].count > 0 ? axes[i].start * dense[i] : 0;
      dims.push_back(axes[i].count);
      // The step of a single element may be any number.
      strides.push_back(axes[i].count > 1 ? axes[i].step * dense[i] : 0);
    }
  }
};

// Counts axes from the front.
void check_lists(SliceLists& lists, int64_t rank) {
  size_t count = lists.starts.size();
  if (lists.ends.size() != count || lists.axes.size() != count || lists.steps.size() != count) {
    fail(ErrorKind::BadInput, "{} starts, {} ends, {} axes and {} steps are given", count,
         lists.ends.size(), lists.axes.size(), lists.steps.size());
  }
  for (int64_t& axis : lists.axes) axis = normalize_axis(axis, rank);
  if (std::count(lists.steps.begin(), lists.steps.end(), 0) > 0) {
    fail(ErrorKind::BadInput, "a step is 0");
  }
}

// The input lists at `first` and behind: starts, ends, axes, steps. Known at compile time or not,
// they are read in one way.
template <typename Get>
std::optional<SliceLists> read_lists(int64_t rank, const Get& get) {
  SliceLists lists;
  std::optional<std::vector<int64_t>> starts = get(0), ends = get(1), axes = get(2), steps = get(3);
  if (!starts || !ends || !axes || !steps) return std::nullopt;
  lists = {std::move(*starts), std::move(*ends), std::move(*axes), std::move(*steps)};
  if (lists.axes.empty() && lists.axes.size() != lists.starts.size()) {
    for (size_t i = 0; i < lists.starts.size(); ++i) lists.axes.push_back(static_cast<int64_t>(i));
  }
  if (lists.steps.empty()) lists.steps.assign(lists.starts.size(), 1);
  check_lists(lists, rank);
  return lists;
}

// For kernels: inputs `first`... are there as tensors.
SliceLists lists_of(const RunContext& c, size_t first, int64_t rank) {
  return *read_lists(rank, [&](size_t i) -> std::optional<std::vector<int64_t>> {
    if (!c.has_input(first + i)) return std::vector<int64_t>();
    return to_int64s(c.input(first + i));
  });
}

std::optional<SliceLists> lists_of(const PrepareContext& c, size_t first, int64_t rank) {
  return read_lists(rank, [&](size_t i) -> std::optional<std::vector<int64_t>> {
    if (!c.has_input(first + i)) return std::vector<int64_t>();
    if (!c.constant(first + i)) return std::nullopt;
    return to_int64s(*c.constant(first + i));
  });
}

// Kernels whose lists are the same in every run work the copy out once.
template <typename Plan>
struct SliceState final : KernelState {
  std::optional<Plan> plan;
};

struct SlicePlan {
  int64_t offset;
  StridedCopy copy;
};

class Slice final : public Op, public WorksOnLevels {
 public:
  void infer(InferContext& c) const override {
    for (size_t i = 1; i < c.num_inputs(); ++i) {
      if (c.has_input(i) && c.rank(i) >= 0 && c.rank(i) != 1) {
        c.reject("{}, expected a list", c.describe_input(i));
      }
    }
    const Shape* in = c.shape(0);
    if (!in) return c.set_output(0, c.dtype(0));
    std::optional<std::vector<int64_t>> axes = sliced_axes(c);
    if (!axes) return c.set_output(0, c.dtype(0), Shape(in->size()));
    std::vector<Dim> starts = bounds(c, 1, axes->size()), ends = bounds(c, 2, axes->size());
    std::vector<Dim> steps(axes->size(), Dim(1));
    if (c.has_input(4)) steps = bounds(c, 4, axes->size());
    Shape out = *in;
    for (size_t i = 0; i < axes->size(); ++i) {
      if (steps[i].is_known() && steps[i].value() == 0)
        c.reject("step of axis {} is 0", (*axes)[i]);
      auto a = static_cast<size_t>((*axes)[i]);
      out[a] = length(starts[i], ends[i], steps[i], (*in)[a]);
    }
    c.set_output(0, c.dtype(0), std::move(out));
    slice_content(c, starts, ends, steps);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<SliceState<SlicePlan>>();
    if (auto lists = lists_of(c, 1, c.input(0).rank()))
      state->plan = plan(*lists, c.input(0).dims());
    return state;
  }

  void run(RunContext& c) const override {
    const auto& state = c.state<SliceState<SlicePlan>>();
    if (state.plan) return copy(c, *state.plan);
    copy(c, plan(lists_of(c, 1, c.input(0).rank()), c.input(0).dims()));
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    std::vector<ValueId> inputs = {g.grad(0), g.builder().shape_of(g.input(0))};
    for (size_t i = 1; i < g.num_inputs(); ++i) inputs.push_back(g.input(i));
    g.set(0, g.add("onnxrun.SliceGrad", std::move(inputs)));
  }

 private:
  static SlicePlan plan(const SliceLists& lists, const Dims& dims) {
    SlicePlace place(slice_axes(lists, dims), dims);
    return {place.offset, StridedCopy(place.dims, place.strides, dense_strides(place.dims))};
  }

  static void copy(RunContext& c, const SlicePlan& plan) {
    dispatch_storage(c.output(0).dtype(), [&]<typename T>() {
      plan.copy.run(storage<T>(c.input(0)) + plan.offset, storage<T>(c.output(0)));
    });
  }

  static std::optional<std::vector<int64_t>> sliced_axes(const InferContext& c) {
    if (c.has_input(3)) {
      auto axes = c.ints(3);
      if (axes) return checked_axes(c, *axes, c.rank(0));
      return std::nullopt;
    }
    auto count = list_length(c, 1);
    if (!count) return std::nullopt;
    if (*count > c.rank(0)) c.reject("{} starts are given for {}", *count, c.describe_input(0));
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < *count; ++i) axes.push_back(i);
    return axes;
  }

  static std::vector<Dim> bounds(const InferContext& c, size_t i, size_t count) {
    std::vector<Dim> values(count);
    if (auto content = c.content(i)) {
      values = std::move(*content);
    } else if (auto known = c.ints(i)) {
      values = to_shape(*known);
    } else if (auto length = list_length(c, i)) {
      if (*length != static_cast<int64_t>(count)) values.resize(count + 1);
    }
    if (values.size() != count) {
      c.reject("{} axes are sliced, but {} has another length", count, c.describe_input(i));
    }
    return values;
  }

  // No axis is as long as this: a bound beyond it is the axis's end, one before its negative the
  // start. The largest and smallest numbers of either index type are such.
  static constexpr int64_t far = std::numeric_limits<int32_t>::max();

  // The place that `bound` names on an axis of symbolic length.
  static Dim place(const Dim& bound, const Dim& length) {
    if (!bound.is_known()) return bound == length ? length : min(bound, length);
    if (bound.value() >= far) return length;
    if (bound.value() <= -far) return Dim(0);
    if (bound.value() < 0) return length + bound;
    return bound.value() == 0 ? Dim(0) : min(bound, length);
  }

  static Dim length(const Dim& start, const Dim& end, const Dim& step, const Dim& in) {
    if (start.is_known() && end.is_known() && step.is_known() && in.is_known()) {
      return Dim(slice_axis(start.value(), end.value(), step.value(), in.value()).count);
    }
    if (!step.is_known() || start.is_unknown() || end.is_unknown() || in.is_unknown()) return Dim();
    if (step.value() > 0) {
      bool none = start.is_known() && end.is_known() && end.value() <= start.value() &&
                  (start.value() >= 0) == (end.value() >= 0);
      if (none) return Dim(0);
      Dim last = place(end, in);
      if (last == Dim(0)) return last;
      // Slices begin inside the axis wherever that can be told from their bounds.
      bool told = start.is_known() && (start.value() < 0 || start.value() >= far);
      return ceil_div(last - (told ? place(start, in) : start), Dim(std::min(step.value(), far)));
    }
    bool whole = start.is_known() && (start.value() == -1 || start.value() >= far) &&
                 end.is_known() && end.value() <= -far;
    return whole && step.value() > INT32_MIN ? ceil_div(in, Dim(-step.value())) : Dim();
  }

  static void slice_content(InferContext& c, const std::vector<Dim>& starts,
                            const std::vector<Dim>& ends, const std::vector<Dim>& steps) {
    auto content = c.content(0);
    if (!content || c.rank(0) != 1) return;
    SliceAxis axis{0, static_cast<int64_t>(content->size()), 1};
    if (!starts.empty()) {
      if (!starts[0].is_known() || !ends[0].is_known() || !steps[0].is_known()) return;
      axis = slice_axis(starts[0].value(), ends[0].value(), steps[0].value(), axis.count);
    }
    Shape chosen;
    for (int64_t i = 0; i < axis.count; ++i) {
      chosen.push_back((*content)[static_cast<size_t>(axis.start + i * axis.step)]);
    }
    c.set_content(0, std::move(chosen));
  }
};

class SliceGrad final : public Op, public FillsPart {
 public:
  std::optional<Stretch> stretch(const Graph& graph, const Node& node) const override {
    std::vector<std::vector<int64_t>> lists;  // starts, ends, axes, steps
    for (size_t i = 2; i < 6; ++i) {
      const bool given = i < node.inputs.size() && node.inputs[i] != no_value;
      const Tensor* list = given ? graph.constant(node.inputs[i]) : nullptr;
      if (given && !list) return std::nullopt;
      lists.push_back(list ? to_int64s(*list) : std::vector<int64_t>{i == 5});
      if (lists.back().size() != 1) return std::nullopt;
    }
    const Type& out = graph.value(node.outputs[0]).type;
    if (out.rank() < 1 || lists[2][0] < -out.rank() || lists[2][0] >= out.rank()) {
      return std::nullopt;
    }
    const int64_t axis = normalize_axis(lists[2][0], out.rank());
    const Dim& whole = (*out.shape)[static_cast<size_t>(axis)];
    if (!whole.is_known() || lists[3][0] != 1) return std::nullopt;
    const SliceAxis part = slice_axis(lists[0][0], lists[1][0], 1, whole.value());
    return Stretch{axis, part.start, part.count, whole.value()};
  }

  void infer(InferContext& c) const override {
    c.set_output(0, c.dtype(0), requested_lengths(c, 1));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    auto state = std::make_unique<SliceState<SlicePlan>>();
    if (auto lists = lists_of(c, 2, c.output(0).rank()))
      state->plan = plan(*lists, c.output(0).dims());
    return state;
  }

  void run(RunContext& c) const override {
    const auto& state = c.state<SliceState<SlicePlan>>();
    if (state.plan) return put(c, *state.plan);
    put(c, plan(lists_of(c, 2, c.output(0).rank()), c.output(0).dims()));
  }

  void gradient(GradientContext& g) const override {
    std::vector<ValueId> inputs = {g.grad(0)};
    for (size_t i = 2; i < g.num_inputs(); ++i) inputs.push_back(g.input(i));
    if (g.wants(0)) g.set(0, g.add("Slice", std::move(inputs)));
  }

  void decompose(DecomposeContext& d) const override {
    d.set(0, scatter_back(d.builder(), d.input(1), d.input(0), [&](ValueId numbers) {
            std::vector<ValueId> inputs = {numbers};
            for (size_t i = 2; i < d.num_inputs(); ++i) inputs.push_back(d.input(i));
            return d.add("Slice", std::move(inputs));
          }));
  }

 private:
  static SlicePlan plan(const SliceLists& lists, const Dims& whole) {
    SlicePlace place(slice_axes(lists, whole), whole);
    return {place.offset, StridedCopy(place.dims, dense_strides(place.dims), place.strides)};
  }

  static void put(RunContext& c, const SlicePlan& plan) {
    Tensor& out = c.output(0);
    if (plan.copy.size() != c.input(0).size()) {
      fail(ErrorKind::BadInput, "the cotangent {} has not the slice's size {}",
           c.input(0).type_text(), plan.copy.size());
    }
    std::fill_n(out.raw(), out.bytes(), std::byte{0});
    dispatch_storage(out.dtype(), [&]<typename T>() {
      plan.copy.run(storage<T>(c.input(0)), storage<T>(out) + plan.offset);
    });
  }
};

// Before opset 10 starts, ends and axes are attributes.
void upgrade_slice(UpgradeContext& u) {
  if (u.opset() >= 10) return;
  u.attribute_to_input("starts", 1);
  u.attribute_to_input("ends", 2);
  u.attribute_to_input("axes", 3);
}

}  // namespace

void register_slice(OpRegistry& r) {
  r.add<Slice>({.name = "Slice",
                .doc = "elements from starts to ends, steps apart, along some axes",
                .since = {1, 10, 11, 13},
                .inputs = {{"data", "T"},
                           {"starts", "Tind", InputRole::Setting},
                           {"ends", "Tind", InputRole::Setting},
                           {"axes", "Tind", Param::Kind::Optional, InputRole::Setting},
                           {"steps", "Tind", Param::Kind::Optional, InputRole::Setting}},
                .outputs = {{"output", "T"}},
                .types = {{"T", dtypes::basic}, {"Tind", dtypes::index}},
                .kind = OpKind::Move,
                .upgrade = upgrade_slice});
  r.add<SliceGrad>(
      {.name = "SliceGrad",
       .domain = private_domain,
       .doc = "zeros in the given shape, with dy where Slice reads",
       .since = {1},
       .inputs = {{"dy", "T"},
                  {"shape", "tensor(int64)"},
                  {"starts", "Tind"},
                  {"ends", "Tind"},
                  {"axes", "Tind", Param::Kind::Optional},
                  {"steps", "Tind", Param::Kind::Optional}},
       .outputs = {{"dx", "T"}},
       .types = {{"T", dtypes::floats}, {"tensor(int64)", DType::Int64}, {"Tind", dtypes::index}},
       .decomposes = true});
}

}  // namespace onnxrun
