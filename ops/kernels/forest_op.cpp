#include "kernels/forest_op.h"

#include "base/threads.h"
#include "tensor/tensor.h"

namespace onnxrun {

namespace {

constexpr int64_t max_targets = int64_t{1} << 24;
constexpr int64_t rows_grain = 16;

}  // namespace

std::unique_ptr<KernelState> ForestOp::prepare(PrepareContext& c) const {
  std::unique_ptr<Forest> forest = grow();
  forest->check_acyclic();
  forest->narrow = c.input(0).dtype() != DType::Float64;
  return forest;
}

void ForestOp::run(RunContext& c) const {
  const Tensor& x = c.input(0);
  const auto& forest = c.state<Forest>();
  const int64_t rows = x.rank() == 1 ? 1 : x.dim(0), features = x.dims().back();
  if (forest.last_feature() >= features) {
    fail(ErrorKind::BadInput, "{}, but the trees ask for feature {}", x.type_text(),
         forest.last_feature());
  }
  std::vector<double> all = to_doubles(x);
  parallel_for(rows, rows_grain, [&](int64_t begin, int64_t end) {
    Forest::Scores scores;
    for (int64_t r = begin; r < end; ++r) {
      c.control().check();
      forest.evaluate(all.data() + r * features, scores);
      write(c, forest, r, scores);
    }
  });
}

Dim ForestOp::check_rows(const InferContext& c) {
  const Shape* x = c.shape(0);
  if (!x) return {};
  if (x->empty() || x->size() > 2) c.reject("{}, expected rows", c.describe_input(0));
  return x->size() == 1 ? Dim(1) : (*x)[0];
}

void ForestOp::check_targets(const InferContext& c, int64_t targets) {
  if (targets < 1 || targets > max_targets) c.reject("attribute 'n_targets' is {}", targets);
}

void ForestOp::check_length(std::string_view what, size_t found, size_t expected) {
  if (found != expected) {
    fail(ErrorKind::BadModel, "attribute '{}' has {} elements, expected {}", what, found, expected);
  }
}

void finish_regression(const Forest& forest, ScoreTransform transform, Forest::Scores& scores) {
  const bool single = scores.values.size() == 1;
  for (size_t t = 0; t < forest.base.size(); ++t) {
    if (single || scores.met[t]) scores.values[t] += forest.base[t];
  }
  transform_scores(for_count(transform, static_cast<int64_t>(scores.values.size())), scores.values);
}

}  // namespace onnxrun
