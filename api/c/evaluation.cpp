#include <utility>

#include "c/handles.h"
#include "c/options.h"
#include "onnxrun/learning_rate.h"

using namespace onnxrun::c;  // NOLINT: functions of C have no namespace

namespace onnxrun::c {

NamedTensors to_arrays(const Evaluation& evaluation) {
  NamedTensors arrays = {{"loss", Tensor::scalar(evaluation.loss)}};
  for (const auto& [name, value] : evaluation.metrics) {
    arrays.push_back({name, Tensor::scalar(value)});
  }
  if (evaluation.confusion.defined()) arrays.push_back({"confusion", evaluation.confusion});
  return arrays;
}

}  // namespace onnxrun::c

onnxrun_status onnxrun_evaluator_new(const onnxrun_model* model, const onnxrun_options* options,
                                     const onnxrun_array* data, size_t count,
                                     onnxrun_evaluator** evaluator) {
  return guarded([&] {
    const onnxrun::Model& given = need(model, "the model").model;
    onnxrun::EvaluationOptions chosen;
    OptionReader reader(options);
    read_options(reader, given, chosen);
    reader.finish();
    give(std::make_unique<onnxrun_evaluator>(onnxrun_evaluator{
             onnxrun::Evaluator(given, to_arrays(data, count), std::move(chosen))}),
         evaluator);
  });
}

void onnxrun_evaluator_free(onnxrun_evaluator* evaluator) {
  delete evaluator;  // NOLINT: a handle of C
}

onnxrun_status onnxrun_evaluator_texts(const onnxrun_evaluator* evaluator, const char* what,
                                       onnxrun_names** texts) {
  return guarded([&] {
    give_names(
        texts_of(need(evaluator, "the evaluator").evaluator.summary(), need_text(what, "the text")),
        texts);
  });
}

onnxrun_status onnxrun_evaluator_run(onnxrun_evaluator* evaluator, onnxrun_arrays** result) {
  return guarded([&] {
    give(new_arrays(to_arrays(need(evaluator, "the evaluator").evaluator.run())), result);
  });
}

void onnxrun_evaluator_cancel(onnxrun_evaluator* evaluator) {
  if (evaluator) evaluator->evaluator.cancel();
}

onnxrun_status onnxrun_find_learning_rate(const onnxrun_model* model,
                                          const onnxrun_options* options, const onnxrun_array* data,
                                          size_t count, onnxrun_arrays** sweep) {
  return guarded([&] {
    const onnxrun::Model& given = need(model, "the model").model;
    onnxrun::FitOptions chosen;
    onnxrun::SweepOptions rates;
    OptionReader reader(options);
    read_options(reader, given, chosen);
    read_options(reader, rates);
    reader.finish();
    const onnxrun::RateSweep found =
        onnxrun::find_learning_rate(given, to_arrays(data, count), std::move(chosen), rates);
    std::vector<double> lr, loss, smoothed;
    for (const onnxrun::RateSweep::Point& p : found.points) {
      lr.push_back(p.lr);
      loss.push_back(p.loss);
      smoothed.push_back(p.smoothed);
    }
    const auto n = static_cast<int64_t>(lr.size());
    onnxrun::NamedTensors arrays = {{"lr", onnxrun::Tensor::of<double>({n}, lr)},
                                    {"loss", onnxrun::Tensor::of<double>({n}, loss)},
                                    {"smoothed", onnxrun::Tensor::of<double>({n}, smoothed)}};
    if (found.suggestion) {
      arrays.push_back({"suggestion", onnxrun::Tensor::scalar(*found.suggestion)});
    }
    give(new_arrays(std::move(arrays)), sweep);
  });
}
