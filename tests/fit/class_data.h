// Classifiers and what they learn from.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>

#include "onnxrun/fit.h"
#include "support/corpus.h"

namespace onnxrun::testing {

inline Model classifier() { return Model::load(CorpusCase("s2_clf_16_32_8_dyn").model_path()); }
inline Model with_batch_norm() { return Model::load(CorpusCase("resnet_bn_leg").model_path()); }

// Samples whose class is where their numbers are largest, by a fixed rule.
inline NamedTensors class_data(int64_t samples, int64_t shift = 0) {
  Tensor x(DType::Float32, {samples, 16}), y(DType::Int64, {samples});
  for (int64_t i = 0; i < samples; ++i) {
    int64_t label = (i * 5 + shift) % 8;
    for (int64_t k = 0; k < 16; ++k) {
      auto noise = static_cast<float>((i * 31 + k * 17 + shift) % 23) / 23;
      x.data<float>()[i * 16 + k] = noise + (k == 2 * label ? 1.5F : 0.F);
    }
    y.data<int64_t>()[i] = label;
  }
  return {{"x", x}, {"target", y}};
}

inline FitOptions adam(int64_t epochs = 3) {
  FitOptions o;
  o.trainer.optimizer = "adam";
  o.trainer.lr = 0.01;
  o.epochs = epochs;
  o.feed.batch_size = 8;
  return o;
}

inline void expect_same_weights(const Trainer& a, const Trainer& b, const std::string& what = "") {
  std::map<std::string, Tensor> other = b.weights();
  for (const auto& [name, value] : a.weights()) {
    EXPECT_TRUE(identical(value, other.at(name))) << name << " " << what;
  }
}

class StopAt : public Callback {
 public:
  explicit StopAt(int64_t step) : step_(step) {}
  void step_end(Fit& fit, const StepRecord& record) override {
    if (record.step != step_) return;
    state = fit.state();
    fit.stop();
  }
  NamedTensors state;

 private:
  int64_t step_;
};

}  // namespace onnxrun::testing
