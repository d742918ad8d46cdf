// Operators that a program adds.
#include "onnxrun/custom_operators.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>
#include <stdexcept>

#include "builtin_ops.h"
#include "onnxrun/onnxrun.h"
#include "support/model_maker.h"

namespace onnxrun {

namespace {

using Tensors = CustomOperator::Tensors;

template <typename T>
void squash(const Tensor& x, Tensor& y, double scale) {
  for (int64_t i = 0; i < x.size(); ++i) {
    y.data<T>()[i] = static_cast<T>(scale * std::atan(static_cast<double>(x.data<T>()[i])));
  }
}

template <typename T>
void squash_gradient(const Tensor& x, const Tensor& dy, Tensor& dx, double scale) {
  for (int64_t i = 0; i < x.size(); ++i) {
    const auto v = static_cast<double>(x.data<T>()[i]);
    dx.data<T>()[i] = static_cast<T>(scale * static_cast<double>(dy.data<T>()[i]) / (1 + v * v));
  }
}

double scale_of(const CustomAttributes& a) { return std::get<float>(a.at("scale")); }

// y = scale atan(x), and how many elements there are.
CustomOperator squashing() {
  return {
      .domain = "com.example",
      .name = "Squash",
      .outputs = 2,
      .attributes = {{"scale", 1.0f}},
      .infer =
          [](const std::vector<TensorType>& in, const CustomAttributes&) {
            return std::vector<TensorType>{in[0], {DType::Int64, Dims{}}};
          },
      .run =
          [](const Tensors& in, Tensors& out, const CustomAttributes& a) {
            in[0].dtype() == DType::Float32 ? squash<float>(in[0], out[0], scale_of(a))
                                            : squash<double>(in[0], out[0], scale_of(a));
            *out[1].data<int64_t>() = in[0].size();
          },
      .gradient =
          [](const Tensors& in, const Tensors&, const Tensors& d, Tensors& dx,
             const CustomAttributes& a) {
            in[0].dtype() == DType::Float32
                ? squash_gradient<float>(in[0], d[0], dx[0], scale_of(a))
                : squash_gradient<double>(in[0], d[0], dx[0], scale_of(a));
          },
  };
}

// Squash(x w) with w [2,2].
ModelMaker model_of(float scale = 2) {
  ModelMaker m;
  auto* import = m.model.add_opset_import();
  import->set_domain("com.example");
  import->set_version(1);
  m.input("x", {"n", "2"});
  m.initializer("w", {0.5f, -1}).set_dims(0, 2);
  m.node("Mul", {"x", "w"}, {"product"});
  auto& node = m.node("Squash", {"product"}, {"y", "count"});
  node.set_domain("com.example");
  node.set_name("squash");
  ModelMaker::attribute(node, "scale", onnx::AttributeProto::FLOAT).set_f(scale);
  m.output("y");
  m.output("count");
  return m;
}

Model load(const ModelMaker& maker, CustomOperator op = squashing()) {
  LoadOptions options;
  options.operators.emplace();
  options.operators->add(std::move(op));
  std::istringstream stream(maker.bytes());
  return Model::load(stream, options);
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(CustomOperators, Run) {
  Session session(load(model_of()));
  for (int64_t rows : {1, 3}) {
    Tensor x(DType::Float32, {rows, 2});
    std::fill_n(x.data<float>(), x.size(), 1.0f);
    NamedValues out = session.run({{"x", x}});
    const Tensor& y = out[0].second.tensor;
    EXPECT_EQ(y.dims(), (Dims{rows, 2}));
    EXPECT_FLOAT_EQ(y.data<float>()[0], 2 * std::atan(0.5f));
    EXPECT_FLOAT_EQ(y.data<float>()[1], 2 * std::atan(-1.0f));
    EXPECT_EQ(*out[1].second.tensor.data<int64_t>(), 2 * rows);
  }
}

TEST(CustomOperators, RunWhereNobodyReadsAnOutput) {
  Session session(load(model_of()), {.outputs = {"count"}});
  NamedValues out = session.run({{"x", Tensor::of<float>({1, 2}, {1, 1})}});
  EXPECT_EQ(*out[0].second.tensor.data<int64_t>(), 2);
}

TEST(CustomOperators, Train) {
  TrainerOptions options;
  options.loss.name = "mse";
  options.lr = 0.1;
  options.double_precision = true;
  options.trainable = std::vector<std::string>{"w"};
  Trainer trainer(load(model_of()), options);
  const Tensor x = Tensor::of<float>({2, 2}, {1, 2, -1, 0.5f});
  const Tensor target = Tensor::of<float>({2, 2}, {0, 1, 0.3f, 0.2f});
  // The gradient by differences.
  const double loss = trainer.gradients({{"x", x}}, target);
  auto loss_with = [&](int64_t k, double step) {
    Tensor values = trainer.parameters().part(0);
    const double old = std::exchange(values.data<double>()[k], values.data<double>()[k] + step);
    const double found = trainer.evaluate({{"x", x}}, target).loss;
    values.data<double>()[k] = old;
    return found;
  };
  for (int64_t k = 0; k < 2; ++k) {
    const double slope = (loss_with(k, 1e-5) - loss_with(k, -1e-5)) / 2e-5;
    EXPECT_NEAR(trainer.gradient_buffer().part(0).data<double>()[k], slope, 1e-8);
  }
  double last = loss;
  for (int i = 0; i < 50; ++i) last = trainer.step({{"x", x}}, target);
  EXPECT_LT(last, loss);
}

TEST(CustomOperators, SayWhatIsWrong) {
  EXPECT_NE(error_of([] {
              load(model_of(), {.domain = "com.example",
                                .name = "Other",
                                .infer = squashing().infer,
                                .run = squashing().run});
            }).find("Squash"),
            std::string::npos);
  CustomOperator op = squashing();
  op.run = [](const Tensors&, Tensors&, const CustomAttributes&) {
    throw std::runtime_error("no such luck");
  };
  const std::string run = error_of([&] {
    Session(load(model_of(), op)).run({{"x", Tensor::of<float>({1, 2}, {1, 1})}});
  });
  EXPECT_NE(run.find("node 'squash'"), std::string::npos) << run;
  EXPECT_NE(run.find("no such luck"), std::string::npos) << run;
  op = squashing();
  op.infer = [](const std::vector<TensorType>&, const CustomAttributes&) {
    return std::vector<TensorType>(1);
  };
  EXPECT_NE(error_of([&] { load(model_of(), op); }).find("gives 1 types, expected 2"),
            std::string::npos);
  op = squashing();
  op.infer = [](const std::vector<TensorType>& in, const CustomAttributes&) {
    return std::vector<TensorType>{in[0], {DType::Int64, Dims{-1}}};
  };
  EXPECT_NE(error_of([&] {
              Session(load(model_of(), op)).run({{"x", Tensor::of<float>({1, 2}, {1, 1})}});
            }).find("leaves output 1 open"),
            std::string::npos);
  op = squashing();
  op.attributes = {};
  EXPECT_NE(error_of([&] { load(model_of(), op); }).find("scale"), std::string::npos);
  op = squashing();
  op.gradient = {};
  TrainerOptions options;
  options.loss.name = "mse";
  options.trainable = std::vector<std::string>{"w"};
  const std::string train = error_of([&] { Trainer(load(model_of(), op), options); });
  EXPECT_NE(train.find("without a gradient"), std::string::npos) << train;
}

TEST(CustomOperators, AreNotAddedTwice) {
  Operators operators;
  operators.add(squashing());
  EXPECT_THROW(operators.add(squashing()), Error);
  for (const auto& change : std::vector<std::function<void(CustomOperator&)>>{
           [](CustomOperator& op) { op.domain = "ai.onnx.ml", op.name = "Scaler"; },
           [](CustomOperator& op) { op.domain = ""; },
           [](CustomOperator& op) { op.domain = "onnxrun"; },
           [](CustomOperator& op) { op.name = ""; }, [](CustomOperator& op) { op.run = {}; }}) {
    CustomOperator op = squashing();
    op.name = "Another";
    change(op);
    EXPECT_THROW(Operators(operators).add(op), Error);
  }
}

}  // namespace

}  // namespace onnxrun
