// TensorScatter.
#include <algorithm>

#include "graph/gradient_context.h"
#include "graph/run_context.h"
#include "kernels/data_movement.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

class TensorScatter final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "the sequence axis");
    v.visit("mode", mode_, "'linear', or 'circular': places behind the end are those at the start");
  }

  void infer(InferContext& c) const override {
    if (mode_ != "linear" && mode_ != "circular") {
      c.reject("mode is '{}', expected 'linear' or 'circular'", mode_);
    }
    const Shape *past = c.shape(0), *update = c.shape(1);
    if (past && checked_axis(c, axis_, c.rank(0)) == 0) {
      c.reject("axis {} is the batch", axis_);
    }
    if (past && update) check_update(c, *past, *update);
    const Shape* at = c.has_input(2) ? c.shape(2) : nullptr;
    if (at && past) {
      if (at->size() != 1 ||
          !compatible(Type::tensor(DType::Int64, Shape{(*past)[0]}), c.type(2))) {
        c.reject("{}, expected one index for each of {}", c.describe_input(2), c.describe_input(0));
      }
    }
    infer_same(c);
  }

  void run(RunContext& c) const override {
    const Tensor &past = c.input(0), &update = c.input(1);
    auto axis = static_cast<size_t>(normalize_axis(axis_, past.rank()));
    int64_t length = past.dims()[axis], count = update.dims()[axis], between = 1, inner = 1;
    for (size_t i = 1; i < past.dims().size(); ++i) {
      if (i < axis) between *= past.dims()[i];
      if (i > axis) inner *= past.dims()[i];
    }
    std::vector<int64_t> starts(static_cast<size_t>(past.dims()[0]), 0);
    if (c.has_input(2)) starts = to_int64s(c.input(2));
    for (int64_t start : starts) {
      bool fits =
          start >= 0 && (mode_ == "circular" || (start <= length && count <= length - start));
      if (!fits) {
        fail(ErrorKind::BadInput, "{} elements do not fit from {} on into {}", count, start,
             past.type_text());
      }
    }
    Tensor& y = c.output(0);
    move_elements(past, y, [&]<typename T>(const T* from, T* to) {
      if (from != to) std::copy_n(from, past.size(), to);
    });
    if (update.size() == 0) return;
    Tensor packed = is_packed(y.dtype()) ? unpack_elements(y) : Tensor();
    auto put = [&]<typename T>(const T* from, T* to) {
      for (int64_t r = 0; r < update.size() / (count * inner); ++r) {
        int64_t start = starts[static_cast<size_t>(r / between)] % std::max<int64_t>(1, length);
        for (int64_t i = 0; i < count; ++i) {
          int64_t at = r * length + (start + i) % length;
          std::copy_n(from + (r * count + i) * inner, inner, to + at * inner);
        }
      }
    };
    if (packed.defined()) {
      Tensor bytes = unpack_elements(update);
      put(storage<Word<uint8_t>>(bytes), storage<Word<uint8_t>>(packed));
      return pack_elements(packed, y);
    }
    dispatch_storage(y.dtype(), [&]<typename T>() { put(storage<T>(update), storage<T>(y)); });
  }

  // What was replaced is the update's. Numbers in place of its elements tell where each went.
  void gradient(GradientContext& g) const override {
    GraphBuilder& b = g.builder();
    Attributes attributes{{"axis", axis_}, {"mode", mode_}};
    auto scatter = [&](ValueId past, ValueId update) {
      return g.add("TensorScatter", {past, update, g.input(2)}, attributes);
    };
    if (g.wants(0)) g.set(0, scatter(g.grad(0), b.zeros_like(g.input(1))));
    if (!g.wants(1)) return;
    ValueId flat = b.ints({-1}), one = b.int_scalar(1), zero = b.int_scalar(0);
    auto numbers = [&](ValueId like, ValueId first) {
      return g.add("Range", {first, g.plus(g.add("Size", {like}), first), one});
    };
    ValueId update = b.reshape_like(numbers(g.input(1), one), g.input(1));
    ValueId nowhere = g.add("Expand", {zero, b.shape_of(g.input(0))});
    ValueId who = b.reshape(scatter(nowhere, update), flat);
    ValueId list = b.reshape(g.plus(g.add("Size", {g.input(1)}), one), b.ints({1}));
    ValueId where =
        g.add("ScatterElements", {g.add("Expand", {zero, list}), who, numbers(g.input(0), zero)});
    ValueId places = b.slice(where, 0, 1, INT64_MAX);
    g.set(1, b.reshape_like(g.add("Gather", {b.reshape(g.grad(0), flat), places}), g.input(1)));
  }

  OpTraits traits() const override { return {.in_place = {{0, 0}}}; }

 private:
  void check_update(const InferContext& c, const Shape& past, const Shape& update) const {
    bool fits = past.size() == update.size();
    auto axis = static_cast<size_t>(normalize_axis(axis_, static_cast<int64_t>(past.size())));
    for (size_t i = 0; fits && i < past.size(); ++i) {
      if (!past[i].is_known() || !update[i].is_known()) continue;
      fits = i == axis ? update[i].value() <= past[i].value() : past[i] == update[i];
    }
    if (!fits) c.reject("{} does not fit into {}", c.describe_input(1), c.describe_input(0));
  }

  int64_t axis_ = -2;
  std::string mode_ = "linear";
};

}  // namespace

void register_tensor_scatter(OpRegistry& r) {
  r.add<TensorScatter>(
      {.name = "TensorScatter",
       .doc = "a cache with new elements put at an index of each batch",
       .since = {24},
       .inputs = {{"past_cache", "T"},
                  {"update", "T"},
                  {"write_indices", "tensor(int64)", Param::Kind::Optional}},
       .outputs = {{"present_cache", "T"}},
       .types = {{"T", dtypes::all - dtypes::ints2}, {"tensor(int64)", DType::Int64}}});
}

}  // namespace onnxrun
