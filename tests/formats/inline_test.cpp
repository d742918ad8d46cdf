#include "formats/inline.h"

#include "formats/print.h"
#include "support/files.h"

namespace onnxrun::testing {
namespace {

struct Good {
  std::string text;
  DType wanted;
  std::string type, json;

  friend void PrintTo(const Good& row, std::ostream* out) { *out << row.text; }
};

class InlineGood : public ::testing::TestWithParam<Good> {};

TEST_P(InlineGood, IsRead) {
  Tensor t = parse_inline(GetParam().text, GetParam().wanted);
  EXPECT_EQ(t.type_text(), GetParam().type);
  EXPECT_EQ(json_values(t), GetParam().json);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, InlineGood,
    ::testing::Values(
        Good{"[[0,1],[1,0]]", DType::Float32, "float[2,2]", "[[0, 1], [1, 0]]"},
        Good{" [ [0 , 1] , [1,0] ] ", DType::Int8, "int8[2,2]", "[[0, 1], [1, 0]]"},
        Good{"f64:[1,2.5]", DType::Float32, "double[2]", "[1, 2.5]"},
        Good{"true", DType::Bool, "bool[]", "true"},
        Good{"[true,False,1,0]", DType::Bool, "bool[4]", "[true, false, true, false]"},
        Good{"-3", DType::Int64, "int64[]", "-3"}, Good{"+3", DType::UInt8, "uint8[]", "3"},
        Good{"[nan,inf,-inf]", DType::Float32, "float[3]",
             "[\"NaN\", \"Infinity\", \"-Infinity\"]"},
        Good{"1e400", DType::Float64, "double[]", "\"Infinity\""},
        Good{"1e39", DType::Float32, "float[]", "\"Infinity\""},
        Good{"0.1", DType::Float32, "float[]", "0.1"},
        Good{"0.1", DType::Float64, "double[]", "0.1"},
        Good{"[1e-4, 3]", DType::Float16, "float16[2]", "[0.0001, 3]"},
        Good{"[1, 3]", DType::BFloat16, "bfloat16[2]", "[1, 3]"},
        Good{"[-8, 7, 1]", DType::Int4, "int4[3]", "[-8, 7, 1]"},
        Good{"[3, 0, 2]", DType::UInt2, "uint2[3]", "[3, 0, 2]"},
        Good{"[0.5, -6]", DType::Float4E2M1, "float4e2m1[2]", "[0.5, -6]"},
        Good{"[0.5, -7.5, 1]", DType::Float6E2M3, "float6e2m3[3]", "[0.5, -7.5, 1]"},
        Good{"[448]", DType::Float8E4M3FN, "float8e4m3fn[1]", "[448]"},
        Good{"18446744073709551615", DType::UInt64, "uint64[]", "18446744073709551615"},
        Good{"[1+2j, -1e-2-3j, 4j, 5]", DType::Complex64, "complex64[4]",
             "[[1, 2], [-0.01, -3], [0, 4], [5, 0]]"},
        Good{"[]", DType::Float32, "float[0]", "[]"},
        Good{"[[],[]]", DType::Float32, "float[2,0]", "[[], []]"},
        Good{"[[[1]]]", DType::Float32, "float[1,1,1]", "[[[1]]]"},
        Good{R"(["a,]\n\u00e4\ud83d\ude42", 'b"'])", DType::String, "string[2]",
             R"(["a,]\nä🙂", "b\""])"},
        Good{"[one, two]", DType::String, "string[2]", R"(["one", "two"])"},
        // Nothing but the values decides.
        Good{"[1,2]", DType::Undefined, "int64[2]", "[1, 2]"},
        Good{"[1,2.]", DType::Undefined, "double[2]", "[1, 2]"},
        Good{"[true]", DType::Undefined, "bool[1]", "[true]"},
        Good{"[1,\"2\"]", DType::Undefined, "string[2]", "[\"1\", \"2\"]"},
        Good{"2j", DType::Undefined, "complex128[]", "[0, 2]"}));

struct Bad {
  std::string text;
  DType wanted;
  std::string error;

  friend void PrintTo(const Bad& row, std::ostream* out) { *out << row.text; }
};

class InlineBad : public ::testing::TestWithParam<Bad> {};

TEST_P(InlineBad, IsRefused) {
  expect_fails(ErrorKind::BadInput, GetParam().error,
               [] { parse_inline(GetParam().text, GetParam().wanted); });
}

INSTANTIATE_TEST_SUITE_P(
    Rows, InlineBad,
    ::testing::Values(
        Bad{"", DType::Float32, "character 1 of the array: a value expected"},
        Bad{"[[1,2],[3]]", DType::Float32,
            "character 8 of the array: ragged: a list of 1 where others have 2"},
        Bad{"[[1],2]", DType::Float32, "character 6 of the array: ragged: a value"},
        Bad{"[1,[2]]", DType::Float32, "character 4 of the array: ragged: a list"},
        Bad{"[[],1]", DType::Float32, "ragged"}, Bad{"[[],[[]]]", DType::Float32, "ragged"},
        Bad{"[1,2", DType::Float32, "character 5 of the array: ',' or ']' expected"},
        Bad{"[1 2]", DType::Float32, "character 4 of the array: ',' or ']' expected"},
        Bad{"[1,]", DType::Float32, "character 4 of the array: a value expected"},
        Bad{"[1]]", DType::Float32, "character 4 of the array: the end expected"},
        Bad{"f64:[1,x]", DType::Float32, "character 8 of the array: 'x' is no double"},
        Bad{"[1.5]", DType::Int32, "'1.5' is no int32"},
        Bad{"[256]", DType::UInt8, "'256' is no uint8"},
        Bad{"[-1]", DType::UInt8, "'-1' is no uint8"}, Bad{"[8]", DType::Int4, "'8' is no int4"},
        Bad{"[2]", DType::Bool, "'2' is no bool"},
        Bad{"[\"1\"]", DType::Float32, "the string '1' is no float"},
        Bad{"[\"a", DType::String, "character 2 of the array: this string does not end"},
        Bad{R"(["\x"])", DType::String, "an unknown escape"},
        Bad{R"(["\ud800"])", DType::String, "no such character"},
        Bad{R"(["\ud83d\u0041"])", DType::String, "half a surrogate pair"},
        Bad{R"(["\u12)", DType::String, "four hexadecimal digits"},
        Bad{std::string(40, '['), DType::Float32, "more than 32 lists"}));

TEST(Inline, IsToldFromFileNames) {
  for (const char* text : {"[1]", "1", "-0.5", "true", "f32:[1]", "f64:x", "\"a\"", "nan"}) {
    EXPECT_TRUE(is_inline(text)) << text;
  }
  for (const char* text : {"", "x.npy", "x.npz:a", "1.npy", "dir/f32", "c:[1]"}) {
    EXPECT_FALSE(is_inline(text)) << text;
  }
}

}  // namespace
}  // namespace onnxrun::testing
