// StringConcat, StringNormalizer, StringSplit, RegexFullMatch, TfIdfVectorizer.
#include "support/op_tester.h"

namespace onnxrun::testing {

namespace {

using Ints = std::vector<int64_t>;
using Strings = std::vector<std::string>;

Tensor texts(Dims dims, Strings values) { return Tensor::of<std::string>(std::move(dims), values); }
Tensor texts(Strings values) {
  auto n = static_cast<int64_t>(values.size());
  return texts({n}, std::move(values));
}

Strings strings_of(const Tensor& t) {
  auto all = t.span<std::string>();
  return {all.begin(), all.end()};
}

TEST(StringConcat, BroadcastsAndCounts) {
  Tensor z = run_op({"StringConcat", {texts({2, 1}, {"a", "b"}), texts({"x", "", "z"})}})[0];
  EXPECT_EQ(z.dims(), (Dims{2, 3}));
  EXPECT_EQ(strings_of(z), (Strings{"ax", "a", "az", "bx", "b", "bz"}));
  EXPECT_EQ(run_op({"StringConcat", {texts({0}, {}), texts({1}, {"x"})}})[0].dims(), (Dims{0}));
  expect_error({"StringConcat", {texts({"a", "b"}), texts({"a", "b", "c"})}}, "broadcast");
  expect_error({"StringConcat", {texts({"a"}), Tensor::of<float>({1}, {1})}}, "float");
}

TEST(StringSplit, AsPythonSplits) {
  auto split = [](const char* text, Attributes a = {}) {
    auto out = run_op({"StringSplit", {texts({text})}, std::move(a), 2});
    EXPECT_EQ(out[1].data<int64_t>()[0], out[0].size()) << text;
    return strings_of(out[0]);
  };
  Attributes comma{{"delimiter", std::string(",")}}, once{{"maxsplit", int64_t{1}}};
  EXPECT_EQ(split("  a \t b\xC2\xA0"
                  "c "),
            (Strings{"a", "b", "c"}));
  EXPECT_EQ(split("  a  b  c ", once), (Strings{"a", "b  c "}));
  EXPECT_EQ(split(" a ", {{"maxsplit", int64_t{0}}}), (Strings{"a "}));
  EXPECT_EQ(split("   "), Strings{});
  EXPECT_EQ(split("", comma), (Strings{""}));
  EXPECT_EQ(split(",a,,b", comma), (Strings{"", "a", "", "b"}));
  comma["maxsplit"] = int64_t{2};
  EXPECT_EQ(split("a,b,c,d", comma), (Strings{"a", "b", "c,d"}));
  comma["maxsplit"] = int64_t{-1};
  EXPECT_EQ(split("a,b,c,d", comma).size(), 4u);
  EXPECT_EQ(split("aaaa", {{"delimiter", std::string("aa")}}), (Strings{"", "", ""}));
}

TEST(StringSplit, ShapesAndRejects) {
  auto out = run_op({"StringSplit", {texts({2, 1}, {"a b", "c"})}, {}, 2});
  EXPECT_EQ(out[0].dims(), (Dims{2, 1, 2}));
  EXPECT_EQ(strings_of(out[0]), (Strings{"a", "b", "c", ""}));
  EXPECT_EQ(run_op({"StringSplit", {texts({0, 3}, {})}, {}, 2})[0].dims(), (Dims{0, 3, 0}));
  EXPECT_EQ(run_op({"StringSplit", {texts({}, {"a b"})}, {}, 2})[0].dims(), (Dims{2}));
  expect_error({"StringSplit", {texts({"\xFF"})}, {}, 2}, "is not UTF-8");
  expect_error({"StringSplit", {texts({"\xE2\x82"})}, {}, 2}, "is not UTF-8");
  expect_error({"StringSplit", {texts({"\xC0\xA0"})}, {}, 2}, "is not UTF-8");
  expect_error({"StringSplit", {texts({"\xED\xA0\x80"})}, {}, 2}, "is not UTF-8");
}

TEST(StringNormalizer, Cases) {
  auto run = [](Tensor x, Attributes a) {
    return run_op({"StringNormalizer", {std::move(x)}, std::move(a)})[0];
  };
  Attributes a{{"case_change_action", std::string("UPPER")}, {"stopwords", Strings{"Und", "öl"}}};
  EXPECT_EQ(strings_of(run(texts({"und", "Öl", "Äpfel", "я"}), a)), (Strings{"ÄPFEL", "Я"}));
  a["is_case_sensitive"] = int64_t{1};
  EXPECT_EQ(strings_of(run(texts({"und", "Und", "öl"}), a)), (Strings{"UND"}));
  a["case_change_action"] = std::string("LOWER");
  Tensor none = run(texts({1, 2}, {"Und", "öl"}), a);
  EXPECT_EQ(none.dims(), (Dims{1, 1}));
  EXPECT_EQ(strings_of(none), (Strings{""}));
  EXPECT_EQ(strings_of(run(texts({0}, {}), {})), (Strings{""}));
  EXPECT_EQ(strings_of(run(texts({"aB", "\xFF"}), {})), (Strings{"aB", "\xFF"}));
}

TEST(StringNormalizer, Rejects) {
  Attributes upper{{"case_change_action", std::string("UPPER")}};
  auto run = [](Tensor x, Attributes a) {
    return OpRun{"StringNormalizer", {std::move(x)}, std::move(a)};
  };
  expect_error(run(texts({2, 1}, {"a", "b"}), upper), "expected [C] or [1, C]");
  expect_error(run(texts({}, {"a"}), upper), "expected [C] or [1, C]");
  expect_error(run(texts({"\xFF"}), upper), "is not UTF-8");
  expect_error(run(texts({"a"}), {{"case_change_action", std::string("Upper")}}), "is 'Upper'");
  upper["locale"] = std::string("tr_TR");
  expect_error(run(texts({"i"}), upper), "case rules of locale 'tr_TR'");
}

TEST(RegexFullMatch, MatchesAll) {
  Attributes a{{"pattern", std::string("(a|b)+c?")}};
  Tensor y = run_op({"RegexFullMatch", {texts({2, 2}, {"abc", "abcd", "", "b"})}, a})[0];
  EXPECT_EQ(y.dims(), (Dims{2, 2}));
  EXPECT_EQ(values_of(y), (std::vector<double>{1, 0, 0, 1}));
  EXPECT_EQ(run_op({"RegexFullMatch", {texts({0}, {})}, a})[0].dims(), (Dims{0}));
}

TEST(RegexFullMatch, Rejects) {
  auto run = [](const char* pattern) {
    return OpRun{"RegexFullMatch", {texts({"a"})}, {{"pattern", std::string(pattern)}}};
  };
  expect_error(run("(a"), "missing )");
  expect_error(run("(?=a)"), "invalid perl operator");
  expect_error(run("((a{1000}){1000}){1000}"), "invalid repetition");
  expect_error({"RegexFullMatch", {texts({"a"})}}, "'pattern' is missing");
  // Time is linear where backtracking is exponential.
  Tensor x = texts({std::string(50000, 'a') + "b"});
  EXPECT_EQ(
      values_of(run_op({"RegexFullMatch", {x}, {{"pattern", std::string("(a|a)*(a*)*")}}})[0]),
      (std::vector<double>{0}));
}

Attributes grams(const char* mode) {
  return {{"mode", std::string(mode)},      {"min_gram_length", int64_t{1}},
          {"max_gram_length", int64_t{2}},  {"max_skip_count", int64_t{1}},
          {"ngram_counts", Ints{0, 2}},     {"ngram_indexes", Ints{2, 0, 1}},
          {"pool_int64s", Ints{5, 6, 5, 7}}};
}

// ONNX Runtime's values. Weights are those of the n-grams, not of the outputs.
TEST(TfIdfVectorizer, Modes) {
  Tensor x = Tensor::of<int64_t>({2, 4}, {5, 5, 7, 6, 9, 9, 9, 9});
  auto run = [&](const char* mode, bool weighted) {
    Attributes a = grams(mode);
    if (weighted) a["weights"] = std::vector<float>{10, 20, 30};
    return values_of(run_op({"TfIdfVectorizer", {x}, a})[0]);
  };
  using Values = std::vector<double>;
  EXPECT_EQ(run("TF", true), (Values{1, 2, 2, 0, 0, 0}));
  EXPECT_EQ(run("IDF", true), (Values{20, 30, 10, 0, 0, 0}));
  EXPECT_EQ(run("TFIDF", true), (Values{20, 60, 20, 0, 0, 0}));
  EXPECT_EQ(run("IDF", false), (Values{1, 1, 1, 0, 0, 0}));
  Attributes words = grams("TF");
  words.erase("pool_int64s");
  words["pool_strings"] = Strings{"a", "b", "a", "c"};
  EXPECT_EQ(values_of(run_op({"TfIdfVectorizer", {texts({"a", "a", "c", "b"})}, words})[0]),
            (Values{1, 2, 2}));
  EXPECT_EQ(run_op({"TfIdfVectorizer", {Tensor(DType::Int32, {2, 0})}, grams("TF")})[0].dims(),
            (Dims{2, 3}));
  words["max_skip_count"] = INT64_MAX;
  EXPECT_EQ(values_of(run_op({"TfIdfVectorizer", {texts({"a", "b", "b", "c"})}, words})[0]),
            (Values{2, 1, 1}));
}

TEST(TfIdfVectorizer, Rejects) {
  Tensor x = Tensor::of<int64_t>({2}, {5, 7});
  auto with = [&](const char* name, AttributeValue value) {
    Attributes a = grams("TF");
    a[name] = std::move(value);
    return OpRun{"TfIdfVectorizer", {x}, a};
  };
  expect_error(with("mode", std::string("tf")), "mode is 'tf'");
  expect_error(with("ngram_counts", Ints{0, 1}), "n-grams of 2 items at 1 to 4");
  expect_error(with("ngram_counts", Ints{0, 9}), "n-grams of 1 items at 0 to 9");
  expect_error(with("ngram_counts", Ints{2, 0}), "n-grams of 1 items at 2 to 0");
  expect_error(with("ngram_indexes", Ints{0, 1}), "3 n-grams in the pool, 2 ngram_indexes");
  expect_error(with("ngram_indexes", Ints{0, 1, -1}), "ngram_indexes has -1");
  expect_error(with("ngram_indexes", Ints{0, 1, INT64_MAX}), "ngram_indexes has");
  expect_error(with("weights", std::vector<float>{1}), "1 weights");
  expect_error(with("min_gram_length", int64_t{3}), "n-grams of 3 to 2 items");
  expect_error(with("pool_int64s", Ints{5, 5, 5, 7}), "n-gram 1 is in the pool twice");
  expect_error(with("pool_strings", Strings{"a"}), "both of");
  expect_error({"TfIdfVectorizer", {texts({"a"})}, grams("TF")}, "for a pool of integers");
  expect_error({"TfIdfVectorizer", {Tensor(DType::Int64, {1, 1, 1})}, grams("TF")},
               "expected [C] or [N, C]");
}

}  // namespace

}  // namespace onnxrun::testing
