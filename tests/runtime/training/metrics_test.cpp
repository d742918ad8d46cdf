#include "training/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace onnxrun {
namespace {

struct MetricsRow {
  const char* metric;
  Tensor output, target;
  double expected;
  MetricOptions options = {};
};

Tensor f(Dims dims, std::initializer_list<float> values) { return Tensor::of<float>(dims, values); }
Tensor i(Dims dims, std::initializer_list<int64_t> values) {
  return Tensor::of<int64_t>(dims, values);
}

TEST(Metrics, AreTheirFormulas) {
  const Tensor scores = f({4, 3}, {5, 1, 0, 0, 2, 1, 1, 2, 3, 9, 8, 7});
  const Tensor labels = i({4}, {0, 2, 2, 1});
  const MetricsRow rows[] = {
      {"accuracy", scores, labels, 0.5},
      {"top1", scores, labels, 0.5},
      {"top2", scores, labels, 1},
      // Classes 0, 1, 2: precision 1/2, 0, 1; recall 1, 0, 1/2; f1 2/3, 0, 2/3.
      {"precision", scores, labels, 0.5},
      {"recall", scores, labels, 0.5},
      {"f1", scores, labels, 4.0 / 9},
      {"accuracy", f({2, 2}, {0, 1, 1, 0}), f({2, 2}, {0, 1, 0, 1}), 0.5},
      {"accuracy", f({4, 1}, {.9f, .2f, .6f, .4f}), f({4, 1}, {1, 0, 0, 1}), 0.5},
      {"accuracy", f({4}, {2, -2, 1, -1}), f({4}, {1, 0, 1, 1}), 0.75, {{}, 0}},
      {"f1", f({4}, {.9f, .2f, .6f, .4f}), f({4}, {1, 0, 0, 1}), 0.5},
      {"auc", f({4}, {.1f, .4f, .35f, .8f}), f({4}, {0, 0, 1, 1}), 0.75},
      {"auc", f({2}, {.5f, .5f}), f({2}, {0, 1}), 0.5},
      // Classes on the last axis of [N,T,C], and on axis 1 of [N,C,T].
      {"accuracy", f({1, 2, 3}, {5, 1, 0, 0, 2, 1}), i({1, 2}, {0, 1}), 1},
      {"accuracy", f({1, 3, 2}, {5, 0, 1, 2, 0, 1}), i({1, 2}, {0, 1}), 1},
      {"accuracy", f({1, 2, 2}, {5, 0, 0, 5}), i({1, 2}, {0, 1}), 1, {-1, 0.5}},
      // One output a step, and labels with an axis of length 1.
      {"accuracy", f({1, 4, 1}, {.9f, .2f, .6f, .4f}), f({1, 4, 1}, {1, 0, 0, 1}), 0.5},
      {"f1", f({1, 4, 1}, {.9f, .2f, .6f, .4f}), f({1, 4}, {1, 0, 0, 1}), 0.5},
      {"accuracy", f({1, 1, 4}, {.9f, .2f, .6f, .4f}), f({1, 4}, {1, 0, 0, 1}), 0.5},
      {"accuracy", scores, labels.view({4, 1}), 0.5},
      {"accuracy", f({1, 2, 3}, {5, 1, 0, 0, 2, 1}), i({1, 2, 1}, {0, 1}), 1},
      // Several classes a sample.
      {"accuracy",
       f({2, 2}, {.9f, .8f, .1f, .2f}),
       f({2, 2}, {1, 1, 0, 1}),
       0.75,
       {.independent = true}},
      {"mae", f({2}, {1, 4}), f({2}, {2, 2}), 1.5},
      {"mse", f({2, 1}, {1, 4}), f({2}, {2, 2}), 2.5},
      {"mse", f({2, 1}, {1, 4}), f({2}, {1, 2}), 3.5, {.allow_broadcast = true}},
      {"mse", f({2}, {1, 4}), f({2}, {2, 2}), 2.5},
      {"rmse", f({2}, {1, 4}), f({2}, {2, 2}), std::sqrt(2.5)},
      {"r2", f({3}, {1, 2, 4}), f({3}, {1, 2, 3}), 0.5},
  };
  for (const MetricsRow& row : rows) {
    Metrics metrics({row.metric}, row.options);
    metrics.add(row.output, row.target);
    EXPECT_NEAR(metrics.results()[0].value, row.expected, 1e-12)
        << row.metric << " of " << row.output.type_text();
  }
}

TEST(Metrics, AddUpOverBatches) {
  Metrics metrics({"accuracy", "mae"}, {});
  metrics.add(f({1}, {.9f}), f({1}, {1}));
  metrics.add(f({2}, {.9f, .8f}), f({2}, {0, 0}));
  EXPECT_NEAR(metrics.results()[0].value, 1.0 / 3, 1e-12);
  EXPECT_NEAR(metrics.results()[1].value, 0.6, 1e-7);
}

TEST(Metrics, CountWhatIsTakenForWhat) {
  Metrics metrics({}, {});
  metrics.add(f({1}, {.9f}), f({1}, {1}));
  metrics.add(f({2}, {.9f, .8f}), f({2}, {0, 0}));
  EXPECT_TRUE(identical(metrics.confusion(), Tensor::of<int64_t>({2, 2}, {0, 2, 0, 1})));
}

// What was collected goes on elsewhere, and only where it belongs.
TEST(Metrics, GoOnFromAState) {
  const std::vector<std::string> names = {"accuracy", "top2", "f1", "recall", "auc", "r2"};
  Tensor y = f({4, 2}, {.1f, .9f, .6f, .4f, .3f, .7f, .2f, .8f}),
         t = f({4, 2}, {0, 1, 0, 1, 1, 0, 0, 1});
  for (size_t k = 0; k <= names.size(); ++k) {
    std::vector<std::string> chosen = k < names.size() ? std::vector{names[k]} : names;
    Metrics whole(chosen, {}), first(chosen, {}), second(chosen, {}), other({"auc", "f1"}, {});
    first.add(y, t);
    whole.add(y, t);
    second.set_state(first.state());
    second.add(t, y);
    whole.add(t, y);
    for (size_t i = 0; i < chosen.size(); ++i)
      EXPECT_EQ(second.value(i), whole.value(i)) << chosen[i];
    EXPECT_THROW(other.set_state(first.state()), Error);
  }
}

TEST(Metrics, RejectWhatDoesNotFit) {
  EXPECT_THROW(Metrics({"akkuracy"}, {}), Error);
  EXPECT_THROW(Metrics({"top0"}, {}), Error);
  EXPECT_THROW(Metrics({"accuracy"}, {}).add(f({1, 2}, {0, 1}), i({1}, {2})), Error);
  EXPECT_THROW(Metrics({"accuracy"}, {}).add(f({1, 2}, {0, 1}), i({1}, {-1})), Error);
  EXPECT_THROW(Metrics({"accuracy"}, {}).add(f({2, 2}, {0, 1, 1, 0}), i({3}, {0, 0, 0})), Error);
  EXPECT_THROW(Metrics({"mae"}, {}).add(f({2}, {0, 1}), f({3}, {0, 0, 0})), Error);
  EXPECT_TRUE(std::isnan(Metrics({"auc"}, {}).results()[0].value));
}

}  // namespace
}  // namespace onnxrun
