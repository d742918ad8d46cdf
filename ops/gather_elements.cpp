// GatherElements, GatherND.
#include "emit/scatter_back.h"
#include "graph/gradient_context.h"
#include "graph/run_context.h"
#include "kernels/index_places.h"
#include "kernels/shape_rules.h"

namespace onnxrun {

namespace {

template <typename Places>
void gather(RunContext& c) {
  const Places& places = c.state<PlacesState<Places>>().places;
  const int64_t block = places.block();
  dispatch<int64_t, int32_t>(c.input(1).dtype(), [&]<typename I>() {
    dispatch_storage(c.input(0).dtype(), [&]<typename T>() {
      const T* in = storage<T>(c.input(0));
      T* out = storage<T>(c.output(0));
      const I* indices = c.input(1).data<I>();
      auto take = [&](int64_t begin, int64_t end) {
        places.for_each(
            indices, begin, end, [&](int64_t k, int64_t at) __attribute__((always_inline)) {
              std::copy_n(in + at, block, out + k * block);
            });
      };
      constexpr int64_t grain = 16384;
      if (places.count() * block <= grain) return take(0, places.count());
      parallel_for(places.count(), std::max<int64_t>(1, grain / block), take);
    });
  });
}

class GatherElements final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("axis", axis_, "the axis that is indexed");
  }

  void infer(InferContext& c) const override {
    const Shape *data = c.shape(0), *indices = c.shape(1);
    if (data) checked_axis(c, axis_, c.rank(0));
    if (data && indices) check_element_indices(c, *data, *indices, axis_);
    c.set_output(0, c.dtype(0), c.type(1).shape);
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return std::make_unique<PlacesState<ElementPlaces>>(
        ElementPlaces(c.input(0).dims(), c.input(1).dims(), axis_));
  }
  void run(RunContext& c) const override { gather<ElementPlaces>(c); }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    g.set(0, g.add("ScatterElements", {g.builder().zeros_like(g.input(0)), g.input(1), g.grad(0)},
                   {{"axis", axis_}, {"reduction", std::string("add")}}));
  }

 private:
  int64_t axis_ = 0;
};

class GatherND final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("batch_dims", batch_dims_, "how many leading axes data and indices share");
  }

  void infer(InferContext& c) const override {
    const Shape *data = c.shape(0), *indices = c.shape(1);
    if (!data || !indices || indices->empty() || indices->back().is_unknown() ||
        !indices->back().is_known()) {
      if (indices && indices->empty()) c.reject("indices are a scalar, expected tuples");
      return c.set_output(0, c.dtype(0));
    }
    int64_t tuple = indices->back().value();
    if (batch_dims_ < 0 || batch_dims_ >= c.rank(1) || tuple < 1 ||
        batch_dims_ + tuple > c.rank(0)) {
      c.reject("batch_dims is {}, {}, {}: a tuple of {} indices does not fit", batch_dims_,
               c.describe_input(0), c.describe_input(1), tuple);
    }
    for (int64_t i = 0; i < batch_dims_; ++i) {
      const Dim &a = (*data)[static_cast<size_t>(i)], &b = (*indices)[static_cast<size_t>(i)];
      if (a.is_known() && b.is_known() && !(a == b)) {
        c.reject("batch axis {} differs: {}, {}", i, c.describe_input(0), c.describe_input(1));
      }
    }
    Shape out(indices->begin(), indices->end() - 1);
    out.insert(out.end(), data->begin() + batch_dims_ + tuple, data->end());
    c.set_output(0, c.dtype(0), std::move(out));
  }

  std::unique_ptr<KernelState> prepare(PrepareContext& c) const override {
    return std::make_unique<PlacesState<TuplePlaces>>(
        TuplePlaces(c.input(0).dims(), c.input(1).dims(), batch_dims_));
  }
  void run(RunContext& c) const override { gather<TuplePlaces>(c); }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    if (batch_dims_ == 0) {
      return g.set(0,
                   g.add("ScatterND", {g.builder().zeros_like(g.input(0)), g.input(1), g.grad(0)},
                         {{"reduction", std::string("add")}}));
    }
    g.set(0, scatter_back(
                 g.builder(), g.builder().shape_of(g.input(0)), g.grad(0), [&](ValueId numbers) {
                   return g.add("GatherND", {numbers, g.input(1)}, {{"batch_dims", batch_dims_}});
                 }));
  }

 private:
  int64_t batch_dims_ = 0;
};

}  // namespace

void register_gather_elements(OpRegistry& r) {
  r.add<GatherElements>({.name = "GatherElements",
                         .doc = "elements chosen by an index each, along an axis",
                         .since = {11, 13},
                         .inputs = {{"data", "T"}, {"indices", "Tind", InputRole::Index}},
                         .outputs = {{"output", "T"}},
                         .types = {{"T", dtypes::basic}, {"Tind", dtypes::index}},
                         .kind = OpKind::Move});
  r.add<GatherND>({.name = "GatherND",
                   .doc = "elements or slices chosen by tuples of indices",
                   .since = {11, 12, 13},
                   .inputs = {{"data", "T"}, {"indices", "tensor(int64)", InputRole::Setting}},
                   .outputs = {{"output", "T"}},
                   .types = {{"T", dtypes::basic}, {"tensor(int64)", DType::Int64}},
                   .kind = OpKind::Move});
}

}  // namespace onnxrun
