#include "fit/target_checks.h"

#include <cmath>

#include "base/error.h"
#include "training/training_graph.h"

namespace onnxrun {

namespace {

void check_classes(const Graph& graph, const LossOptions& loss, const std::string& key,
                   const Tensor& target, const TargetReading& reading) {
  const Type& output = graph.value(find_output(graph, loss.output)).type;
  std::optional<int64_t> axis = loss.class_axis ? loss.class_axis : reading.class_axis;
  if (!axis && output.rank() == 2) axis = 1;
  if (axis && *axis < 0) *axis += output.rank();
  if (!axis || *axis < 0 || *axis >= output.rank()) return;
  const Dim& there = (*output.shape)[static_cast<size_t>(*axis)];
  if (!there.is_known()) return;
  const auto count = static_cast<double>(there.value());
  std::optional<double> wrong = find_number(target, [&](double v) {
    bool ignored = loss.ignore_index && v == static_cast<double>(*loss.ignore_index);
    return std::isfinite(v) && !ignored && (v < 0 || v >= count);
  });
  if (!wrong) return;
  fail(ErrorKind::BadInput, "target '{}' holds class {:.6g}, but output '{}' has {}, from 0 on{}",
       key, *wrong, loss.output, there.value(),
       *wrong < 0 ? " (--ignore-index leaves a class out)" : "");
}

}  // namespace

void check_targets(const Graph& graph, const LossOptions& loss, const std::string& key,
                   const Tensor& target, const std::optional<TargetReading>& reading) {
  if (find_loss(loss.name).class_indices) {
    bool rows = !reading || reading->kind == TargetReading::Kind::OneHot || reading->axis;
    if (!rows) check_classes(graph, loss, key, target, *reading);
    return;
  }
  bool signs = loss.name == "hinge";
  if (!signs && loss.name != "bce" && loss.name != "bce_with_logits" && loss.name != "kl") return;
  std::optional<double> wrong = find_number(target, [&](double v) {
    return std::isfinite(v) && !(signs ? v == 1 || v == -1 : v >= 0 && v <= 1);
  });
  if (!wrong) return;
  fail(ErrorKind::BadInput, "loss '{}' takes targets {}, but '{}' holds {:.6g}", loss.name,
       signs ? "of -1 and 1" : "from 0 to 1", key, *wrong);
}

}  // namespace onnxrun
