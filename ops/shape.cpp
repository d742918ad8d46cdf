// Shape, Size: what is known of a tensor without its elements.
#include <algorithm>

#include "graph/infer_context.h"
#include "graph/run_context.h"

namespace onnxrun {

namespace {

class ShapeOp final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("end", end_, "one behind the last axis that is listed");
    v.visit("start", start_, "the first axis that is listed");
  }

  void infer(InferContext& c) const override {
    const Shape* in = c.shape(0);
    if (!in) return c.set_output(0, DType::Int64, Shape(1));
    auto [first, last] = range(c.rank(0));
    c.set_output(0, DType::Int64, Shape{Dim(last - first)});
    c.set_content(0, Shape(in->begin() + first, in->begin() + last));
  }

  void run(RunContext& c) const override {
    const Dims& dims = c.input(0).dims();
    auto [first, last] = range(c.input(0).rank());
    std::copy(dims.begin() + first, dims.begin() + last, c.output(0).data<int64_t>());
  }

 private:
  std::pair<int64_t, int64_t> range(int64_t rank) const {
    auto place = [&](int64_t axis) {
      return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
    };
    int64_t first = place(start_), last = end_ ? place(*end_) : rank;
    return {first, std::max(first, last)};
  }

  int64_t start_ = 0;
  std::optional<int64_t> end_;
};

class SizeOp final : public Op {
 public:
  void infer(InferContext& c) const override {
    c.set_output(0, DType::Int64, Shape{});
    if (const Shape* in = c.shape(0)) c.set_content(0, {element_count(*in)});
  }

  void run(RunContext& c) const override { *c.output(0).data<int64_t>() = c.input(0).size(); }
};

}  // namespace

void register_shape(OpRegistry& r) {
  r.add<ShapeOp>({.name = "Shape",
                  .doc = "the lengths of the input's axes",
                  .since = {1, 13, 15, 19, 21, 23, 24, 25},
                  .inputs = {{"data", "T"}},
                  .outputs = {{"shape", "T1"}},
                  .types = {{"T", dtypes::all}, {"T1", DType::Int64}},
                  .gradient = GradientState::NotDifferentiable});
  r.add<SizeOp>({.name = "Size",
                 .doc = "the number of the input's elements",
                 .since = {1, 13, 19, 21, 23, 24, 25},
                 .inputs = {{"data", "T"}},
                 .outputs = {{"size", "T1"}},
                 .types = {{"T", dtypes::all}, {"T1", DType::Int64}},
                 .gradient = GradientState::NotDifferentiable});
}

}  // namespace onnxrun
