#include "emit/plain_batch_normalization.h"

#include "graph/builder.h"
#include "graph/node_attributes.h"

namespace onnxrun {

namespace {

// y = (x - mean) / sqrt(var + epsilon) * scale + bias, with the batch's mean and variance of each
// channel; statistics move by momentum.
class PlainBatchNormalization {
 public:
  PlainBatchNormalization(Graph& graph, Node node)
      : b_(graph, "plain/"), node_(std::move(node)), rank_(b_.rank(node_.inputs[0])) {}

  void emit() {
    for (int64_t i = 0; i < rank_; ++i) {
      if (i != 1) axes_.push_back(i);
    }
    ValueId x = node_.inputs[0], mean = mean_of(x);
    ValueId centred = b_.add("Sub", {x, mean}), var = mean_of(b_.add("Mul", {centred, centred}));
    double epsilon = static_cast<double>(attribute_or(node_, "epsilon", 1e-5f));
    ValueId deviation = b_.add("Sqrt", {b_.add("Add", {var, b_.scalar_like(epsilon, var)})});
    ValueId scale = b_.add("Div", {by_channel(node_.inputs[1]), deviation});
    ValueId y = b_.add("Mul", {centred, scale});
    b_.add("Add", {y, by_channel(node_.inputs[2])});
    finish(0);
    move(node_.inputs[3], mean);
    finish(1);
    if (node_.outputs.size() < 3) return;
    move(node_.inputs[4], var);
    finish(2);
  }

 private:
  ValueId mean_of(ValueId v) { return b_.add("ReduceMean", {v, b_.ints(axes_)}); }
  ValueId by_channel(ValueId v) { return b_.unsqueeze(v, axes_); }

  void move(ValueId old, ValueId batch) {
    double momentum = static_cast<double>(attribute_or(node_, "momentum", 0.9f));
    ValueId kept = b_.add("Mul", {old, b_.scalar_like(momentum, old)});
    ValueId news = b_.add("Mul", {b_.squeeze(batch, axes_), b_.scalar_like(1 - momentum, batch)});
    b_.add("Add", {kept, news});
  }

  // The last node's result is the batch normalization's output.
  void finish(size_t output) {
    if (node_.outputs[output] == no_value) return;
    b_.graph().nodes.back().outputs = {node_.outputs[output]};
  }

  GraphBuilder b_;
  Node node_;
  int64_t rank_;
  std::vector<int64_t> axes_;
};

}  // namespace

void emit_plain_batch_normalization(Graph& graph, Node node) {
  PlainBatchNormalization(graph, std::move(node)).emit();
}

}  // namespace onnxrun
