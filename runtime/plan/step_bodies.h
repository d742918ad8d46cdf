// The subgraphs of one step: plans are shared, executions are this step's own.
#pragma once

#include <memory>
#include <vector>

#include "plan/execution.h"
#include "plan/running_step.h"

namespace onnxrun {

class StepBodies final : public BodyRunner {
 public:
  // All of these live as long.
  StepBodies(const PlanOptions& options, const Step& step, const RunningStep& running);

  // Before and after a run of the node: what it captures is bound once for all runs of a body.
  void start(const RunControl& control);
  void finish();

  void run(size_t k, std::span<RuntimeValue> formal, std::vector<RuntimeValue>& results,
           bool last) override;
  Type output_type(size_t body, size_t output) const override;

 private:
  struct Kept {
    std::unique_ptr<Execution> execution;
    bool captured = false;
  };
  using Body = std::vector<std::unique_ptr<Kept>>;  // the one used last is the first

  const RuntimeValue& captured(size_t i) const;
  bool accepts(const Kept& kept, std::span<const RuntimeValue> formal) const;
  Kept& find(size_t k, std::span<const RuntimeValue> formal);
  void bind_captures(Kept& kept, bool last) const;
  void release_captures(const Kept& kept) const;
  size_t captures() const { return static_cast<size_t>(running_.node->captures); }

  const PlanOptions& options_;
  const Step& step_;
  const RunningStep& running_;
  const RunControl* control_ = nullptr;
  std::vector<Body> kept_;
};

}  // namespace onnxrun
