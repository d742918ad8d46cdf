// ReverseSequence.
#include <algorithm>

#include "base/error.h"
#include "graph/gradient_context.h"
#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "kernels/data_movement.h"

namespace onnxrun {

namespace {

class ReverseSequence final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("batch_axis", batch_axis_, "the axis of sequences: 0 or 1");
    v.visit("time_axis", time_axis_, "the axis of time, the other one of 0 and 1");
  }

  void infer(InferContext& c) const override {
    bool axes = (batch_axis_ == 0 && time_axis_ == 1) || (batch_axis_ == 1 && time_axis_ == 0);
    if (!axes) {
      c.reject("batch_axis {} and time_axis {}, expected 0 and 1 or 1 and 0", batch_axis_,
               time_axis_);
    }
    if (c.shape(0) && c.rank(0) < 2) c.reject("{}, expected 2 axes", c.describe_input(0));
    if (c.shape(1) && c.rank(1) != 1) c.reject("{}, expected one axis", c.describe_input(1));
    infer_same(c);
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    const int64_t batch = x.dim(batch_axis_), steps = x.dim(time_axis_);
    std::span<const int64_t> lengths = c.input(1).span<int64_t>();
    if (static_cast<int64_t>(lengths.size()) != batch) {
      fail(ErrorKind::BadInput, "sequence_lens has {} lengths, expected {}", lengths.size(), batch);
    }
    for (int64_t length : lengths) {
      if (length < 0 || length > steps) {
        fail(ErrorKind::BadInput, "a length of {}, expected 0 to {}", length, steps);
      }
    }
    if (x.size() == 0) return;
    const int64_t row = x.size() / (batch * steps);
    auto at = [&](int64_t b, int64_t t) {
      return (batch_axis_ == 0 ? b * steps + t : t * batch + b) * row;
    };
    dispatch_storage(x.dtype(), [&]<typename T>() {
      const T* in = storage<T>(x);
      T* out = storage<T>(c.output(0));
      parallel_for(batch, std::max<int64_t>(1, 16384 / (steps * row)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t b = begin; b < end; ++b) {
                       int64_t length = lengths[static_cast<size_t>(b)];
                       for (int64_t t = 0; t < steps; ++t) {
                         const T* from = in + at(b, t < length ? length - 1 - t : t);
                         std::copy(from, from + row, out + at(b, t));
                       }
                     }
                   });
    });
  }

  void gradient(GradientContext& g) const override {
    if (!g.wants(0)) return;
    g.set(0, g.add("ReverseSequence", {g.grad(0), g.input(1)},
                   {{"batch_axis", batch_axis_}, {"time_axis", time_axis_}}));
  }

 private:
  int64_t batch_axis_ = 1;
  int64_t time_axis_ = 0;
};

}  // namespace

void register_reverse_sequence(OpRegistry& r) {
  r.add<ReverseSequence>(
      {.name = "ReverseSequence",
       .doc = "the first steps of each sequence in reverse order, as many as its length",
       .since = {10, 28},
       .inputs = {{"input", "T"}, {"sequence_lens", "tensor(int64)", InputRole::Setting}},
       .outputs = {{"Y", "T"}},
       .types = {{"T", dtypes::basic}, {"tensor(int64)", DType::Int64}},
       .kind = OpKind::Move});
}

}  // namespace onnxrun
