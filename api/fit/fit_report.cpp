#include "fit/fit_report.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/name_list.h"

namespace onnxrun {

namespace {

using NamesByReason = std::map<std::string, std::vector<std::string>>;

constexpr size_t most_names = 8;

void report_parameters(const Model& model, const Trainer& trainer) {
  const std::vector<std::string> trained = trainer.trained();
  const std::set<std::string> in(trained.begin(), trained.end());
  const std::vector<InitializerInfo> all = model.initializers();
  NamesByReason by_reason, left_out;
  int64_t numbers = 0;
  for (const InitializerInfo& i : all) {
    if (in.count(i.name)) numbers += i.value.size();
    if (!in.count(i.name) && i.value.size() > 0 && !i.reason.empty()) {
      left_out[i.reason].push_back(i.name);
    }
  }
  std::map<std::string, const InitializerInfo*> infos;
  for (const InitializerInfo& i : all) infos.emplace(i.name, &i);
  for (const std::string& name : trained) {
    auto it = infos.find(name);
    // The trainer's model has tensors that were one in the file.
    bool is_new = it == infos.end();
    by_reason[is_new                  ? "a tensor of its own now"
              : it->second->trainable ? it->second->reason
                                      : "asked for by name"]
        .push_back(name);
  }
  log(LogLevel::Info, "training {} of {} initializers, {} numbers:", trained.size(), all.size(),
      numbers);
  for (const auto& [reason, names] : by_reason) {
    log(LogLevel::Info, "  {} ({})", name_list(names, most_names),
        reason.empty() ? "parameters" : reason);
  }
  for (const std::string& name : trainer.without_gradient()) {
    log(LogLevel::Warning,
        "no gradient flows to '{}': nothing that the loss reads can be differentiated by it", name);
  }
  for (const auto& [reason, names] : left_out) {
    log(LogLevel::Info, "not trained: {} ({})", name_list(names, most_names), reason);
  }
}

}  // namespace

void report_fit(const Model& model, const Fit& fit) {
  if (!is_logged(LogLevel::Warning)) return;
  const FitSummary& summary = fit.summary();
  for (const std::string& text : summary.warnings) log(LogLevel::Warning, "{}", text);
  log(LogLevel::Info, "loss: {} of output '{}'{}", summary.loss, summary.output,
      summary.is_loss_chosen ? " (chosen by output and target)" : "");
  for (const std::string& note : summary.notes) log(LogLevel::Info, "{}", note);
  log(LogLevel::Info, "optimizer: {}, lr {}", fit.options().trainer.optimizer,
      fit.trainer().learning_rate());
  report_parameters(model, fit.trainer());
  log(LogLevel::Info, "data: {} {}, batches of {}", summary.samples,
      fit.options().feed.prebatched ? "batches" : "samples", summary.batch_size);
}

}  // namespace onnxrun
