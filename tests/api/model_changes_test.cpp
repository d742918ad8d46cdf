// Models that change before they train. What PyTorch makes of the same is tests/interop's.
#include "onnxrun/model_changes.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "onnxrun/trainer.h"
#include "support/corpus.h"
#include "support/model_maker.h"

namespace onnxrun::testing {

namespace {

Model corpus_model(const std::string& name) { return Model::load(CorpusCase(name).model_path()); }

std::string error_of(const std::string& model, int64_t classes, const std::string& output = "") {
  try {
    with_new_classes(corpus_model(model), classes, output);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Usage);
    return e.what();
  }
  return "";
}

TEST(NewClasses, AreFreshBySeed) {
  Model model = corpus_model("cnn_folded_dyn");
  auto weight = [&](uint64_t seed) {
    NewClasses changed = with_new_classes(model, 3, "", seed);
    EXPECT_EQ(changed.output, "y");
    EXPECT_EQ(changed.classes_before, 10);
    EXPECT_EQ(changed.tensors, (std::vector<std::string>{"fc2.weight", "fc2.bias"}));
    EXPECT_EQ(changed.model.outputs()[0].type, "float[16,3]");
    for (const InitializerInfo& i : changed.model.initializers()) {
      if (i.name == "fc2.weight") return to_doubles(i.value);
    }
    return std::vector<double>();
  };
  std::vector<double> first = weight(1);
  EXPECT_EQ(first.size(), 3u * 32);
  EXPECT_EQ(first, weight(1));
  EXPECT_NE(first, weight(2));
}

TEST(NewClasses, TakeNoBackwardThroughWhatStays) {
  NewClasses changed = with_new_classes(corpus_model("cnn_folded_dyn"), 3);
  auto nodes_of_step = [&](const TrainerOptions& options) {
    Trainer trainer(changed.model, options);
    std::map<std::string, int> nodes;
    trainer.observe([&](const Session::NodeRecord& r) { ++nodes[std::string(r.op)]; });
    Tensor x(DType::Float32, {16, 1, 28, 28});
    std::fill_n(x.data<float>(), x.size(), 0.5F);
    trainer.step({{"x", x}}, Tensor::of<int64_t>({16}, std::vector<int64_t>(16, 1)));
    return nodes;
  };
  TrainerOptions options;
  options.loss.name = "cross_entropy";
  options.optimize = false;
  std::map<std::string, int> all = nodes_of_step(options);
  options.trainable = changed.tensors;
  std::map<std::string, int> head = nodes_of_step(options);
  int products = 0;
  for (const auto& [op, count] : head) {
    EXPECT_TRUE(op.find("Pool") == op.npos || op == "MaxPool" || op == "AveragePool") << op;
    if (op.find("Conv") != op.npos) products += count;
  }
  EXPECT_EQ(products, 2);  // forward alone
  for (const auto& [op, count] : all) {
    if (op.find("Conv") != op.npos) products += count;
  }
  EXPECT_GT(products, 2 + 4);
}

TEST(NewClasses, SayWhatStandsInTheWay) {
  EXPECT_NE(error_of("cnn_folded_dyn", 0).find("0 classes are none"), std::string::npos);
  EXPECT_NE(error_of("cnn_folded_dyn", 3, "z").find("no output 'z'; it has 'y'"),
            std::string::npos);
  EXPECT_NE(error_of("unet_bilinear_dyn", 3).find("Conv 'node_conv2d_5' stands between"),
            std::string::npos);
  EXPECT_NE(error_of("q_qdq_cnn", 3).find("is no stored matrix"), std::string::npos);
  EXPECT_NE(error_of("s4_linreg", 3).find("no Gemm or MatMul stands before"), std::string::npos);
  EXPECT_NE(error_of("cnn_folded_dyn", int64_t{1} << 60).find("are too many"), std::string::npos);
}

TEST(NewClasses, StandInTheFileThatIsSaved) {
  TempDir folder;
  NewClasses changed = with_new_classes(corpus_model("k_cnn_bn"), 7);
  changed.model.save(folder.path("new.onnx"), {});
  Model again = Model::load(folder.path("new.onnx"));
  EXPECT_EQ(again.outputs()[0].type.substr(again.outputs()[0].type.size() - 3), ",7]");
  EXPECT_EQ(again.initializers().size(), changed.model.initializers().size());
}

}  // namespace

}  // namespace onnxrun::testing
