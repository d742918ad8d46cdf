#include "formats/print.h"

#include <limits>
#include <numeric>

#include "support/files.h"

namespace onnxrun::testing {
namespace {

TEST(Print, Json) {
  NamedTensors arrays = {{"y\"", Tensor::of<float>({2, 1}, {0.1f, 1e20f})},
                         {"s", Tensor::scalar<std::string>("a\n\xff")},
                         {"e", Tensor(DType::Int64, {0, 2})}};
  EXPECT_EQ(to_json(arrays),
            "{\n"
            "  \"y\\\"\": {\"dtype\": \"float\", \"shape\": [2,1], \"data\": [[0.1], [1e+20]]},\n"
            "  \"s\": {\"dtype\": \"string\", \"shape\": [], \"data\": \"a\\n\xef\xbf\xbd\"},\n"
            "  \"e\": {\"dtype\": \"int64\", \"shape\": [0,2], \"data\": []}\n"
            "}\n");
  EXPECT_EQ(to_json({}), "{\n}\n");
}

TEST(Print, JsonOfEveryFloatIsANumberOrAString) {
  float inf = std::numeric_limits<float>::infinity();
  for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    Tensor t = convert(Tensor::of<float>({4}, {inf, -inf, inf - inf, 0.25f}), dtype);
    EXPECT_EQ(json_values(t), "[\"Infinity\", \"-Infinity\", \"NaN\", 0.25]") << to_string(dtype);
  }
}

TEST(Print, TextAsNumpyHasIt) {
  EXPECT_EQ(to_text(Tensor::of<int32_t>({2, 3}, {1, 2, 3, 4, 5, -6})), "[[ 1  2  3]\n [ 4  5 -6]]");
  EXPECT_EQ(to_text(Tensor::of<bool>({2, 1, 1}, {true, false})), "[[[ true]]\n\n [[false]]]");
  EXPECT_EQ(to_text(Tensor::scalar(0.5)), "0.5");
  EXPECT_EQ(to_text(Tensor::of<std::string>({1}, {"a"})), "[\"a\"]");
  EXPECT_EQ(to_text(Tensor(DType::Float32, {0, 3})), "[]");
}

TEST(Print, TextOfLargeTensorsIsSummarized) {
  std::vector<int64_t> values(2000);
  std::iota(values.begin(), values.end(), 0);
  Tensor t = Tensor::of<int64_t>({2000}, values);
  EXPECT_EQ(to_text(t), "[   0    1    2 ... 1997 1998 1999]");
  EXPECT_EQ(to_text(t.view({4, 500}), {.edge = 1}), "[[   0 ...  499]\n ...\n [1500 ... 1999]]");
}

}  // namespace
}  // namespace onnxrun::testing
