// Operators of domain ai.onnx.ml. The numbers are ONNX Runtime's.
#include <cmath>

#include "base/error.h"
#include "builtin_ops.h"
#include "ops/type_rows.h"

#include "support/decomposition.h"
#include "support/graph_tester.h"
#include "support/op_tester.h"
#include "tensor/tensor.h"

namespace onnxrun::testing {

namespace {

using Floats = std::vector<float>;
using Ints = std::vector<int64_t>;

std::string ml(const char* name) { return std::string("ai.onnx.ml.") + name; }

Tensor ml_rows() { return Tensor::of<float>({3, 3}, {1, -4, 2, 0, 0, 0, -1, -2, -3}); }

struct MlCase {
  OpRun run;
  Tensor expected;
};

std::vector<MlCase> ml_cases() {
  Tensor x = ml_rows(), two = Tensor::of<float>({2, 2}, {1, -4, 0, 0});
  Floats weights = {0.1f, 0.2f, 0.3f, 0.4f};
  return {
      {{ml("Normalizer"), {x}}, Tensor::of<float>({3, 3}, {0.5f, -2, 1, 0, 0, 0, 1, 2, 3})},
      {{ml("Normalizer"), {x}, {{"norm", std::string("L1")}}},
       Tensor::of<float>({3, 3}, {0.142857149f, -0.5714286f, 0.285714298f, 0, 0, 0, -0.166666672f,
                                  -0.333333343f, -0.5f})},
      {{ml("Normalizer"), {x}, {{"norm", std::string("L2")}}},
       Tensor::of<float>({3, 3}, {0.218217894f, -0.872871578f, 0.43643579f, 0, 0, 0, -0.267261237f,
                                  -0.534522474f, -0.80178374f})},
      {{ml("Scaler"), {x}, {{"offset", Floats{1, 2, 3}}, {"scale", Floats{0.5f, 1, 2}}}},
       Tensor::of<float>({3, 3}, {0, -6, -2, -0.5f, -2, -6, -1, -4, -12})},
      {{ml("LinearRegressor"),
        {two},
        {{"coefficients", weights}, {"intercepts", Floats{0.1f, 0.2f}}, {"targets", int64_t{2}}}},
       Tensor::of<float>({2, 2}, {-0.599999964f, -1.0999999f, 0.1f, 0.2f})},
      {{ml("LinearRegressor"),
        {two},
        {{"coefficients", weights},
         {"intercepts", Floats{0.1f, 0.2f}},
         {"targets", int64_t{2}},
         {"post_transform", std::string("SOFTMAX")}}},
       Tensor::of<float>({2, 2}, {0.622459352f, 0.377540678f, 0.475020826f, 0.524979174f})},
      {{ml("FeatureVectorizer"), {x, x}, {{"inputdimensions", Ints{4, 2}}}},
       Tensor::of<float>({3, 6}, {1, -4, 2, 0, 1, -4, 0, 0, 0, 0, 0, 0, -1, -2, -3, 0, -1, -2})},
      {{ml("ArrayFeatureExtractor"), {x, Tensor::of<int64_t>({1, 2}, {2, 0})}},
       Tensor::of<float>({3, 2}, {2, 1, 0, 0, -3, -1})},
  };
}

// Results are float, however the input is given: differences need wide steps.
TEST(MachineLearning, FeaturesAsOnnxRuntimeHasThem) {
  for (const MlCase& c : ml_cases()) {
    SCOPED_TRACE(c.run.op);
    expect_close(run_op(c.run)[0], c.expected, 1e-5, 1e-6);
    expect_decomposes(c.run, 1e-6, std::vector<size_t>{});
    OpRun run = c.run;
    for (Tensor& t : run.inputs) {
      if (t.dtype() == DType::Float32) t = random_tensor(t.dims(), 3, 1, 2);
    }
    check_gradient(run, {.step = 1e-2, .tolerance = 1e-3});
  }
}

TEST(MachineLearning, Binarizer) {
  OpRun run{ml("Binarizer"), {ml_rows()}, {{"threshold", 1.0f}}};
  expect_close(run_op(run)[0], Tensor::of<float>({3, 3}, {0, 0, 1, 0, 0, 0, 0, 0, 0}));
  expect_decomposes(run, 0, std::vector<size_t>{});
}

TEST(MachineLearning, Rejects) {
  Tensor x = ml_rows(), scalar = Tensor::scalar(1.0f);
  expect_error({ml("Scaler"), {x}, {{"offset", Floats{1, 2}}}}, "'offset' has 2 numbers");
  expect_error({ml("Scaler"), {x}, {{"scale", Floats{}}}}, "'scale' has 0 numbers");
  expect_error({ml("Scaler"), {scalar}}, "expected features");
  expect_error({ml("Normalizer"), {x}, {{"norm", std::string("L3")}}}, "'L3'");
  expect_error({ml("Normalizer"), {scalar}}, "expected features");
  expect_error({ml("LinearRegressor"), {x}}, "'coefficients' is missing");
  expect_error({ml("LinearRegressor"), {x}, {{"coefficients", Floats{1, 2}}}}, "2 coefficients");
  Attributes none{{"coefficients", Floats{1, 2, 3}}, {"targets", int64_t{0}}};
  expect_error({ml("LinearRegressor"), {x}, none}, "0 targets");
  Attributes many{{"coefficients", Floats{1, 2, 3}}, {"intercepts", Floats{1, 2}}};
  expect_error({ml("LinearRegressor"), {x}, many}, "2 intercepts");
  Attributes cubic{{"coefficients", Floats{1, 2, 3}}, {"post_transform", std::string("CUBIC")}};
  expect_error({ml("LinearRegressor"), {x}, cubic}, "'CUBIC'");
  expect_error({ml("FeatureVectorizer"), {x}}, "0 lengths");
  expect_error({ml("FeatureVectorizer"), {x}, {{"inputdimensions", Ints{-1}}}}, "is -1");
  expect_error({ml("FeatureVectorizer"), {x}, {{"inputdimensions", Ints{INT64_MAX}}}}, "a length");
  expect_error({ml("ArrayFeatureExtractor"), {x, Tensor::of<int64_t>({1}, {3})}}, "3");
  expect_error({ml("ArrayFeatureExtractor"), {x, Tensor(DType::Int64, {0})}}, "no feature");
}

using Strings = std::vector<std::string>;

Attributes with(Attributes base, const Attributes& more) {
  for (const auto& [name, value] : more) base[name] = value;
  return base;
}

// Two trees of one comparison each: x0 <= 0 and x1 > 0.5.
Attributes trees(const char* prefix) {
  std::string p = prefix;
  return {{"nodes_nodeids", Ints{0, 1, 2, 0, 1, 2}},
          {"nodes_treeids", Ints{0, 0, 0, 1, 1, 1}},
          {"nodes_featureids", Ints{0, 0, 0, 1, 0, 0}},
          {"nodes_modes", Strings{"BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_GT", "LEAF", "LEAF"}},
          {"nodes_values", Floats{0, 0, 0, 0.5f, 0, 0}},
          {"nodes_truenodeids", Ints{1, 0, 0, 1, 0, 0}},
          {"nodes_falsenodeids", Ints{2, 0, 0, 2, 0, 0}},
          {p + "_treeids", Ints{0, 0, 1, 1}},
          {p + "_nodeids", Ints{1, 2, 1, 2}},
          {p + "_ids", Ints{0, 1, 1, 0}},
          {p + "_weights", Floats{0.25f, 0.5f, 1, 2}}};
}

Attributes classifier() { return with(trees("class"), {{"classlabels_int64s", Ints{5, 7}}}); }

Tensor pairs() { return Tensor::of<float>({3, 2}, {-1, 1, 1, 1, 1, 0}); }

TEST(MachineLearning, Trees) {
  Attributes two = with(trees("target"), {{"n_targets", int64_t{2}}});
  Tensor sums = Tensor::of<float>({3, 2}, {0.25f, 1, 0, 1.5f, 2, 0.5f});
  expect_close(run_op({ml("TreeEnsembleRegressor"), {pairs()}, two})[0], sums);
  Attributes least = with(two, {{"aggregate_function", std::string("MIN")}});
  expect_close(run_op({ml("TreeEnsembleRegressor"), {pairs()}, least})[0],
               Tensor::of<float>({3, 2}, {0.25f, 1, 0, 0.5f, 2, 0.5f}));
  std::vector<Tensor> found = run_op({ml("TreeEnsembleClassifier"), {pairs()}, classifier(), 2});
  expect_close(found[0], Tensor::of<int64_t>({3}, {1, 1, 1}));
  expect_close(found[1], sums);
  Attributes one = with(classifier(), {{"class_ids", Ints{1, 1, 1, 1}}});
  found = run_op({ml("TreeEnsembleClassifier"), {pairs()}, one, 2});
  expect_close(found[0], Tensor::of<int64_t>({3}, {7, 7, 7}));
  Tensor none(DType::Float32, {0, 2});
  EXPECT_EQ(run_op({ml("TreeEnsembleClassifier"), {none}, one, 2})[1].dims(), (Dims{0, 2}));
}

Attributes forest() {
  return {{"n_targets", int64_t{1}},
          {"tree_roots", Ints{0}},
          {"nodes_modes", Tensor::of<uint8_t>({2}, {0, 6})},
          {"nodes_splits", Tensor::of<float>({2}, {0, 0})},
          {"nodes_featureids", Ints{0, 1}},
          {"nodes_truenodeids", Ints{1, 0}},
          {"nodes_trueleafs", Ints{0, 1}},
          {"nodes_falsenodeids", Ints{2, 1}},
          {"nodes_falseleafs", Ints{1, 1}},
          {"membership_values", Tensor::of<float>({3}, {3, 1, std::nanf("")})},
          {"leaf_targetids", Ints{0, 0, 0}},
          {"leaf_weights", Tensor::of<float>({3}, {1, 2, 3})}};
}

TEST(MachineLearning, TreeEnsembleOfVersionFive) {
  Tensor x = Tensor::of<float>({4, 2}, {-1, 1, -1, 2, 1, 1, std::nanf(""), 1});
  expect_close(run_op({ml("TreeEnsemble"), {x}, forest()})[0],
               Tensor::of<float>({4, 1}, {1, 2, 3, 3}));
  Attributes missing = with(forest(), {{"nodes_missing_value_tracks_true", Ints{1, 0}}});
  expect_close(run_op({ml("TreeEnsemble"), {x}, missing})[0],
               Tensor::of<float>({4, 1}, {1, 2, 3, 1}));
}

TEST(MachineLearning, RejectsTrees) {
  std::string op = ml("TreeEnsembleClassifier");
  auto reject = [&](const Attributes& more, const char* text) {
    expect_error({op, {pairs()}, with(classifier(), more), 2}, text);
  };
  reject({{"nodes_truenodeids", Ints{0, 0, 0, 1, 0, 0}}}, "leads back to itself");
  reject({{"nodes_truenodeids", Ints{9, 0, 0, 1, 0, 0}}}, "tree 0 has no node 9");
  reject({{"nodes_falsenodeids", Ints{1, 0, 0, 2, 0, 0}}}, "no way leads to node 2 of tree 0");
  reject({{"nodes_nodeids", Ints{0, 1, 1, 0, 1, 2}}}, "two nodes 1");
  reject({{"nodes_values", Floats{0}}}, "'nodes_values' has 1 elements, expected 6");
  reject({{"nodes_featureids", Ints{0, 0, 0, 7, 0, 0}}}, "feature 7");
  reject({{"nodes_featureids", Ints{-1, 0, 0, 1, 0, 0}}}, "feature -1");
  reject({{"nodes_modes", Strings{"BRANCH", "LEAF", "LEAF", "LEAF", "LEAF", "LEAF"}}}, "'BRANCH'");
  reject({{"class_ids", Ints{0, 1, 1, 2}}}, "counts for 2 of 2");
  reject({{"class_ids", Ints{0}}}, "4 weights of leaves, but 1 targets");
  reject({{"post_transform", std::string("CUBIC")}}, "'CUBIC'");
  reject({{"base_values", Floats{1, 2, 3}}}, "'base_values' has 3");
  reject({{"classlabels_strings", Strings{"a", "b"}}}, "2 integers and 2 strings");
  expect_error({op, {Tensor::scalar(1.0f)}, classifier(), 2}, "expected rows");
  for (int64_t feature : {int64_t{2}, INT64_MAX}) {
    Attributes beyond = with(trees("target"), {{"nodes_featureids", Ints{0, 0, 0, feature, 0, 0}},
                                               {"n_targets", int64_t{2}}});
    expect_error({ml("TreeEnsembleRegressor"), {pairs()}, beyond}, "the trees ask for feature");
  }
  Attributes many = with(trees("target"), {{"n_targets", int64_t{1} << 60}});
  expect_error({ml("TreeEnsembleRegressor"), {pairs()}, many}, "'n_targets' is");
  op = ml("TreeEnsemble");
  auto reject_forest = [&](const Attributes& more, const char* text) {
    expect_error({op, {pairs()}, with(forest(), more)}, text);
  };
  reject_forest({{"nodes_truenodeids", Ints{0, 0}}}, "leads back to itself");
  reject_forest({{"nodes_truenodeids", Ints{1, 5}}}, "leaf 5 of a tree, but there are 3");
  reject_forest({{"tree_roots", Ints{2}}}, "root 2");
  reject_forest({{"nodes_modes", Tensor::of<uint8_t>({2}, {0, 9})}}, "mode 9");
  reject_forest({{"nodes_modes", Tensor::of<uint8_t>({1}, {0})}}, "'nodes_modes' has 1");
  reject_forest({{"leaf_targetids", Ints{0, 0, -1}}}, "counts for -1");
  reject_forest({{"post_transform", int64_t{5}}}, "'post_transform' is 5");
  reject_forest({{"aggregate_function", int64_t{-1}}}, "'aggregate_function' is -1");
}

TEST(MachineLearning, LinearClassifier) {
  Attributes three = {{"coefficients", Floats{1, 0, 0, 1, -1, -1}},
                      {"intercepts", Floats{0, 0, 0.5f}},
                      {"classlabels_strings", Strings{"a", "b", "c"}}};
  OpRun run{ml("LinearClassifier"), {pairs()}, three, 2};
  std::vector<Tensor> found = run_op(run);
  expect_close(found[0], Tensor::of<std::string>({3}, {"b", "a", "a"}));
  expect_close(found[1], Tensor::of<float>({3, 3}, {-1, 1, 0.5f, 1, 1, -1.5f, 1, 0, -0.5f}));
  expect_decomposes(run, 1e-6, std::vector<size_t>{});
  for (const char* how : {"NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"}) {
    run.attributes["post_transform"] = std::string(how);
    run.inputs = {random_tensor({3, 2}, 3, 1, 2)};
    check_gradient(run, {.step = 1e-2, .tolerance = 1e-3});
  }
  Attributes one = {{"coefficients", Floats{1, 1}},
                    {"intercepts", Floats{-0.5f}},
                    {"classlabels_ints", Ints{3, 4}}};
  found = run_op({ml("LinearClassifier"), {pairs()}, one, 2});
  expect_close(found[0], Tensor::of<int64_t>({3}, {3, 4, 4}));
  expect_close(found[1], Tensor::of<float>({3, 2}, {1.5f, -0.5f, -0.5f, 1.5f, 0.5f, 0.5f}));
  auto reject = [&](const Attributes& more, const char* text) {
    expect_error({ml("LinearClassifier"), {pairs()}, with(three, more), 2}, text);
  };
  reject({{"classlabels_ints", Ints{1}}}, "1 integers and 3 strings");
  reject({{"coefficients", Floats{1, 2}}}, "2 coefficients");
  reject({{"intercepts", Floats{1, 2}}}, "2 intercepts");
  reject({{"post_transform", std::string("CUBIC")}}, "'CUBIC'");
  expect_error({ml("LinearClassifier"), {Tensor::scalar(1.0f)}, three, 2}, "expected rows");
}

Attributes svm() {
  return {{"kernel_type", std::string("RBF")},
          {"kernel_params", Floats{0.5f, 0, 0}},
          {"coefficients", Floats{1, -1}},
          {"support_vectors", Floats{1, 0, 0, 1}},
          {"rho", Floats{0.25f}},
          {"vectors_per_class", Ints{1, 1}},
          {"classlabels_ints", Ints{3, 4}}};
}

TEST(MachineLearning, SupportVectors) {
  Tensor x = Tensor::of<float>({2, 2}, {1, 0, 0, 1});
  float s = 1 - std::exp(-1.0f);
  std::vector<Tensor> found = run_op({ml("SVMClassifier"), {x}, svm(), 2});
  expect_close(found[0], Tensor::of<int64_t>({2}, {3, 4}));
  expect_close(found[1], Tensor::of<float>({2, 2}, {-s - 0.25f, s + 0.25f, s - 0.25f, 0.25f - s}));
  Attributes regressor = svm();
  regressor.erase("vectors_per_class");
  regressor.erase("classlabels_ints");
  regressor["n_supports"] = int64_t{2};
  expect_close(run_op({ml("SVMRegressor"), {x}, regressor})[0],
               Tensor::of<float>({2, 1}, {0.25f + s, 0.25f - s}));
  auto reject = [&](const Attributes& more, const char* text) {
    expect_error({ml("SVMClassifier"), {x}, with(svm(), more), 2}, text);
  };
  reject({{"vectors_per_class", Ints{INT64_MAX, 1}}}, "'vectors_per_class' has");
  reject({{"vectors_per_class", Ints{1}}}, "'vectors_per_class' has 1");
  reject({{"coefficients", Floats{1}}}, "'coefficients' has 1 elements, expected 2");
  reject({{"rho", Floats{}}}, "'rho' has 0");
  reject({{"prob_a", Floats{1}}}, "'prob_b' has 0 elements, expected 1");
  reject({{"support_vectors", Floats{1, 2, 3}}}, "'support_vectors' has 3");
  reject({{"kernel_type", std::string("CUBIC")}}, "'CUBIC'");
  reject({{"kernel_params", Floats{1}}}, "'kernel_params' has 1");
  reject({{"classlabels_ints", Ints{3}}}, "1 integers and 0 strings");
  regressor["n_supports"] = int64_t{-1};
  expect_error({ml("SVMRegressor"), {x}, regressor}, "'n_supports' is -1");
  expect_error({ml("SVMClassifier"), {Tensor::scalar(1.0f)}, svm(), 2}, "expected rows");
}

TEST(MachineLearning, Encoders) {
  Tensor words = Tensor::of<std::string>({2, 2}, {"a", "b", "", "a"});
  Attributes labels = {{"keys_strings", Strings{"a", "b", "a"}}, {"values_int64s", Ints{4, 5, 6}}};
  expect_close(run_op({ml("LabelEncoder"), {words}, labels})[0],
               Tensor::of<int64_t>({2, 2}, {4, 5, -1, 4}));
  float nan = std::nanf("");
  Attributes numbers = {{"keys_tensor", Tensor::of<double>({2}, {0, std::nan("")})},
                        {"values_tensor", Tensor::of<int16_t>({2}, {7, 8})},
                        {"default_tensor", Tensor::of<int16_t>({1}, {9})}};
  expect_close(
      run_op({ml("LabelEncoder"), {Tensor::of<double>({3}, {-0.0, std::nan(""), 1})}, numbers})[0],
      Tensor::of<int16_t>({3}, {7, 8, 9}));
  OpRun old{ml("LabelEncoder"), {words}, {{"classes_strings", Strings{"b", "a"}}}, 1, 1};
  expect_close(run_op(old)[0], Tensor::of<int64_t>({2, 2}, {1, 0, -1, 1}));
  Attributes cats = {{"cats_strings", Strings{"a", "b"}}, {"cats_int64s", Ints{4, 5}}};
  expect_close(run_op({ml("CategoryMapper"), {words}, cats})[0],
               Tensor::of<int64_t>({2, 2}, {4, 5, -1, 4}));
  expect_close(run_op({ml("CategoryMapper"), {Tensor::of<int64_t>({2}, {5, 6})}, cats})[0],
               Tensor::of<std::string>({2}, {"b", "_Unused"}));
  expect_close(run_op({ml("OneHotEncoder"),
                       {Tensor::of<float>({2}, {5.5f, 9})},
                       {{"cats_int64s", Ints{4, 5}}}})[0],
               Tensor::of<float>({2, 2}, {0, 1, 0, 0}));
  Attributes fill = {{"imputed_value_floats", Floats{8, 9}}, {"replaced_value_float", nan}};
  expect_close(run_op({ml("Imputer"), {Tensor::of<float>({2, 2}, {nan, 1, 2, nan})}, fill})[0],
               Tensor::of<float>({2, 2}, {8, 1, 2, 9}));
  fill["replaced_value_float"] = 0.5f;
  OpRun imputer{ml("Imputer"), {random_tensor({2, 2}, 3, 1, 2)}, fill};
  expect_decomposes(imputer, 0, std::vector<size_t>{});
  check_gradient(imputer);
}

TEST(MachineLearning, RejectsEncoders) {
  Tensor words = Tensor::of<std::string>({2}, {"a", "b"}), x = Tensor::of<float>({1, 2}, {1, 2});
  expect_error({ml("LabelEncoder"), {words}}, "0 lists of keys");
  Attributes uneven = {{"keys_strings", Strings{"a"}}, {"values_int64s", Ints{4, 5}}};
  expect_error({ml("LabelEncoder"), {words}, uneven}, "1 keys, 2 values");
  expect_error({ml("LabelEncoder"), {x}, uneven}, "1 keys, 2 values");
  Attributes other = {{"keys_strings", Strings{"a"}}, {"values_int64s", Ints{4}}};
  expect_error({ml("LabelEncoder"), {x}, other}, "but keys are string");
  Attributes wrong = with(other, {{"default_tensor", Tensor::of<float>({1}, {4})}});
  expect_error({ml("LabelEncoder"), {words}, wrong}, "'default_tensor' is float[1]");
  expect_error({ml("LabelEncoder"), {words}, {}, 1, 1}, "'classes_strings' is missing");
  expect_error({ml("CategoryMapper"), {words}, {{"cats_int64s", Ints{1}}}},
               "1 numbers and 0 names");
  expect_error({ml("OneHotEncoder"), {x}, {{"cats_strings", Strings{"a"}}}}, "1 strings");
  expect_error({ml("OneHotEncoder"), {x}, {{"cats_int64s", Ints{1}}, {"zeros", int64_t{0}}}},
               "element 1 is none of the 1 categories");
  expect_error({ml("OneHotEncoder"), {words}}, "0 integers and 0 strings");
  expect_error({ml("Imputer"), {x}}, "'imputed_value_floats' has 0 values");
  expect_error({ml("Imputer"), {x}, {{"imputed_value_floats", Floats{1, 2, 3}}}}, "has 3 values");
  expect_error({ml("Imputer"), {Tensor::scalar(1.0f)}, {{"imputed_value_floats", Floats{1}}}},
               "expected features");
}

// The map of row 1 of x, handed to an operator that makes a row of it.
Graph map_graph(const Attributes& zip, const std::string& op, const Attributes& attributes) {
  Graph graph(builtin_ops());
  ValueId x = graph.add_input("x", Type::tensor(DType::Float32, Shape{Dim(2), Dim(3)}));
  GraphBuilder b(graph);
  ValueId map = b.add("SequenceAt", {b.add(ml("ZipMap"), {x}, zip), b.int_scalar(1)});
  graph.outputs.push_back(b.add(op, {map}, attributes));
  return graph;
}

TEST(MachineLearning, Maps) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6.5f});
  Attributes numbers = {{"classlabels_int64s", Ints{2, 0, 1}}};
  Attributes names = {{"classlabels_strings", Strings{"a", "b", "c"}}};
  auto run = [&](const Attributes& zip, const char* op, const Attributes& attributes) {
    return run_graph(map_graph(zip, ml(op), attributes), {x})[0];
  };
  expect_close(run(numbers, "CastMap", {}), Tensor::of<float>({1, 3}, {5, 6.5f, 4}));
  Attributes sparse = {{"map_form", std::string("SPARSE")},
                       {"max_map", int64_t{2}},
                       {"cast_to", std::string("TO_INT64")}};
  expect_close(run(numbers, "CastMap", sparse), Tensor::of<int64_t>({1, 2}, {5, 6}));
  sparse["max_map"] = int64_t{4};
  sparse["cast_to"] = std::string("TO_STRING");
  expect_close(run(numbers, "CastMap", sparse),
               Tensor::of<std::string>({1, 4}, {"5.000000", "6.500000", "4.000000", "0.f"}));
  expect_close(run(names, "DictVectorizer", {{"string_vocabulary", Strings{"c", "d", "a", "c"}}}),
               Tensor::of<float>({1, 4}, {6.5f, 0, 4, 6.5f}));
  expect_close(run(numbers, "DictVectorizer", {{"int64_vocabulary", Ints{0, 9}}}),
               Tensor::of<float>({1, 2}, {5, 0}));
}

TEST(MachineLearning, RejectsMaps) {
  Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  expect_error({ml("ZipMap"), {x}}, "0 integers and 0 strings");
  expect_error({ml("ZipMap"), {x}, {{"classlabels_int64s", Ints{1, 2}}}}, "there are 2 keys");
  expect_error({ml("ZipMap"), {Tensor::scalar(1.0f)}, {{"classlabels_int64s", Ints{1}}}},
               "expected rows");
  Attributes numbers = {{"classlabels_int64s", Ints{2, 0, -1}}};
  auto reject = [&](const char* op, const Attributes& attributes, const char* text) {
    try {
      run_graph(map_graph(numbers, ml(op), attributes), {x});
      ADD_FAILURE() << op << " took it: " << text;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
    }
  };
  Attributes sparse = {{"map_form", std::string("SPARSE")}};
  reject("CastMap", sparse, "the key -1");
  reject("CastMap", with(sparse, {{"max_map", INT64_MAX}}), "'max_map' is");
  reject("CastMap", {{"map_form", std::string("LOOSE")}}, "'LOOSE'");
  reject("CastMap", {{"cast_to", std::string("TO_BOOL")}}, "'TO_BOOL'");
  reject("DictVectorizer", {}, "0 integers and 0 strings");
  reject("DictVectorizer", {{"string_vocabulary", Strings{"a"}}}, "expected a map from string");
  expect_error({ml("CastMap"), {x}}, "float[2,3]");
}

}  // namespace

std::vector<Row> ml_rows() {
  const Dims m = {2, 3};
  return {
      {ml("Normalizer"), {{m}}},
      {ml("Scaler"), {{m}}, {{"offset", Floats{1}}, {"scale", Floats{0.5f}}}},
      {ml("LinearRegressor"), {{m}}, {{"coefficients", Floats{1, 2, 3}}}},
      {ml("Binarizer"), {{m}}, {{"threshold", 2.0f}}},
      {ml("FeatureVectorizer"), {{m}}, {{"inputdimensions", Ints{2}}}},
      {ml("ArrayFeatureExtractor"), {{m}, {{2}, {0, 2}}}},
      {ml("TreeEnsembleRegressor"), {{m}}, with(trees("target"), {{"n_targets", int64_t{2}}})},
      {ml("TreeEnsembleClassifier"), {{m}}, classifier(), 2},
      {ml("TreeEnsemble"), {{m}}, forest()},
      {ml("LinearClassifier"),
       {{m}},
       {{"coefficients", Floats{1, 0, 0, 0, 1, 0}}, {"classlabels_ints", Ints{1, 2}}},
       2},
      {ml("SVMClassifier"), {{{2, 2}}}, svm(), 2},
      {ml("SVMRegressor"), {{m}}, {{"coefficients", Floats{1, 2, 3}}, {"rho", Floats{1}}}},
      {ml("Imputer"),
       {{m}},
       {{"imputed_value_floats", Floats{7}},
        {"imputed_value_int64s", Ints{7}},
        {"replaced_value_float", 2.0f},
        {"replaced_value_int64", int64_t{2}}}},
  };
}

}  // namespace onnxrun::testing
