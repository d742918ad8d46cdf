// Tables with classes by name.
#include "fit/class_names.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "fit/class_data.h"
#include "fit/columns.h"
#include "onnxrun/evaluate.h"
#include "onnxrun/fit.h"
#include "support/corpus.h"
#include "support/files.h"
#include "support/model_maker.h"

namespace onnxrun::testing {

namespace {

Tensor labels(const std::vector<std::string>& texts) {
  return Tensor::of<std::string>({static_cast<int64_t>(texts.size())}, std::span(texts));
}

TEST(ClassNames, AreSorted) {
  Tensor given = labels({"cat", "ant", "cat", "bee"});
  ClassNames names = names_of_labels("y", given);
  EXPECT_EQ(names, (ClassNames{"ant", "bee", "cat"}));
  EXPECT_TRUE(identical(class_indices("y", given, names), Tensor::of<int64_t>({4}, {2, 0, 2, 1})));
  EXPECT_EQ(class_list(names), "'ant' 0, 'bee' 1, 'cat' 2");
  expect_fails(ErrorKind::BadInput, "sample 1 (from 0) is missing", [] {
    names_of_labels("y", labels({"a", " "}));
  });
  expect_fails(ErrorKind::BadInput, "sample 1 (from 0) is 'dog', which is no class", [&] {
    class_indices("y", labels({"ant", "dog"}), names);
  });
}

// In whatever order a model has them.
TEST(ClassNames, KeepTheOrderOfTheModel) {
  ClassNames names = {"z", "a"};
  EXPECT_TRUE(are_known(labels({"a", "z"}), names));
  EXPECT_FALSE(are_known(labels({"b"}), names));
  EXPECT_TRUE(
      identical(class_indices("y", labels({"a", "z"}), names), Tensor::of<int64_t>({2}, {1, 0})));
}

// Sixteen columns, then the class of each row as "class K".
NamedTensors table(int64_t rows, int64_t classes) {
  NamedTensors columns;
  for (int64_t c = 0; c < 16; ++c) {
    Tensor column(DType::Int64, {rows});
    for (int64_t r = 0; r < rows; ++r) column.data<int64_t>()[r] = (r + c * 3) % 7;
    columns.push_back({"c" + std::to_string(c), column});
  }
  Tensor kind(DType::String, {rows});
  for (int64_t r = 0; r < rows; ++r) {
    kind.data<std::string>()[r] = "class " + std::to_string(r % classes);
  }
  columns.push_back({"kind", kind});
  return columns;
}

FitOptions naming_options() {
  FitOptions o;
  o.feed.targets = {"kind"};
  return o;
}

TEST(ClassNames, AreRememberedByTheModel) {
  TempDir dir;
  Fit training = fit(classifier(), table(24, 3), naming_options());
  EXPECT_EQ(training.summary().loss, "nll");
  training.save(dir / "m.onnx");
  Model model = Model::load(dir / "m.onnx");
  EXPECT_EQ(Preparation::of(model).classes.at("logp"),
            (ClassNames{"class 0", "class 1", "class 2"}));
  // A data set that lacks the first ones means the same.
  NamedTensors part = table(24, 3);
  for (std::string& name : part.back().tensor.span<std::string>()) name = "class 2";
  EvaluationOptions o;
  o.feed.targets = {"kind"};
  EvaluationOptions numbers = o;
  numbers.feed.targets = {"[2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2]"};
  EXPECT_EQ(evaluate(model, part, o).loss, evaluate(model, part, numbers).loss);
  expect_fails(ErrorKind::BadInput, "is 'class 3', which is no class",
               [&] { evaluate(model, table(24, 4), o); });
  // Training on learns classes that are new.
  Fit again = fit(model, table(24, 4), naming_options());
  EXPECT_EQ(again.preparation().classes.at("logp").size(), 4U);
  Fit on = fit(model, part, naming_options());
  EXPECT_EQ(on.preparation().classes.at("logp").size(), 3U);
}

TEST(ClassNames, AreNoMoreThanTheOutputTellsApart) {
  expect_fails(ErrorKind::BadInput, "names 9 classes",
               [] { Fit(classifier(), table(24, 9), naming_options()); });
}

// Whether the last operator is a Sigmoid.
Model of_one_number(bool probability) {
  ModelMaker maker(17);
  maker.input("x", {"batch", "2"});
  auto& weight = maker.initializer("fc.weight", {0.1F, 0.2F});
  weight.clear_dims();
  weight.add_dims(2);
  weight.add_dims(1);
  maker.node("MatMul", {"x", "fc.weight"}, {probability ? "h" : "y"});
  if (probability) maker.node("Sigmoid", {"h"}, {"y"});
  maker.output("y");
  return Model::from_bytes(maker.bytes());
}

TEST(ClassNames, OfTwoWithOneNumber) {
  NamedTensors data = {{"x", Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6})},
                       {"kind", labels({"no", "yes", "no"})}};
  for (bool probability : {true, false}) {
    Fit training(of_one_number(probability), data, naming_options());
    EXPECT_EQ(training.summary().loss, probability ? "bce" : "bce_with_logits");
  }
  data[1].tensor = labels({"no", "yes", "perhaps"});
  expect_fails(ErrorKind::BadInput, "names 3 classes",
               [&] { Fit(of_one_number(true), data, naming_options()); });
}

TEST(Columns, MakeAnInput) {
  NamedTensors data = {{"a", Tensor::of<int64_t>({2}, {1, 2})},
                       {"b", Tensor::of<double>({2}, {0.5, 1.5})},
                       {"name", labels({"3", "x"})},
                       {"t", Tensor::of<int64_t>({2}, {7, 8})},
                       {"m", Tensor::of<float>({2, 2}, {0, 0, 0, 0})}};
  EXPECT_TRUE(
      identical(listed_columns(data, "b,a")->tensor, Tensor::of<double>({2, 2}, {0.5, 1, 1.5, 2})));
  EXPECT_FALSE(listed_columns(data, "a"));
  expect_fails(ErrorKind::BadInput, "no column 'c'", [&] { listed_columns(data, "a,c"); });
  expect_fails(ErrorKind::BadInput, "'name' ('x' in row 2) holds text",
               [&] { listed_columns(data, "a,name"); });
  expect_fails(ErrorKind::BadInput, "no column of numbers", [&] { listed_columns(data, "a,m"); });
  Type two = Type::tensor(DType::Float32, Shape{Dim(), Dim(2)});
  EXPECT_TRUE(identical(all_columns(data, {"t"}, "x", two)->tensor,
                        Tensor::of<double>({2, 2}, {1, 0.5, 2, 1.5})));
  expect_fails(ErrorKind::BadInput, "takes 2 numbers a sample, but the data have 3 columns",
               [&] { all_columns(data, {}, "x", two); });
}

}  // namespace

}  // namespace onnxrun::testing
