#include "formats/csv.h"

#include "formats/print.h"
#include "support/files.h"

namespace onnxrun::testing {
namespace {

CsvTable table(const std::string& text, char separator = ',') {
  MemoryBudget budget(1 << 20);
  return CsvTable(text, budget, separator);
}

std::string matrix(const CsvTable& t) {
  std::vector<size_t> all;
  for (size_t c = 0; c < t.names().size(); ++c) all.push_back(c);
  Tensor m = t.matrix(all);
  return m.type_text() + " " + json_values(m);
}

TEST(Csv, ReadsQuotesHeadersAndTypes) {
  CsvTable t = table(file_bytes(data_path("formats/table.csv")));
  EXPECT_TRUE(t.has_header());
  EXPECT_EQ(t.names(), (std::vector<std::string>{"name", "age", "height", "ok"}));
  NamedTensors a = t.arrays({0, 1, 2, 3});
  EXPECT_TRUE(identical(a[0].tensor, Tensor::of<std::string>({2}, {"Doe, \"Jo\"", "two\nlines"})));
  EXPECT_TRUE(identical(a[1].tensor, Tensor::of<int64_t>({2}, {31, -5})));
  EXPECT_TRUE(identical(a[2].tensor, Tensor::of<double>({2}, {1.8, 0.2})));
  EXPECT_TRUE(identical(a[3].tensor, Tensor::of<bool>({2}, {true, false})));
}

struct CsvRow {
  std::string text, result;

  friend void PrintTo(const CsvRow& row, std::ostream* out) { *out << row.text; }
};

class CsvGood : public ::testing::TestWithParam<CsvRow> {};

TEST_P(CsvGood, IsRead) { EXPECT_EQ(matrix(table(GetParam().text)), GetParam().result); }

INSTANTIATE_TEST_SUITE_P(
    Rows, CsvGood,
    ::testing::Values(CsvRow{"1,2\n3,4\n", "int64[2,2] [[1, 2], [3, 4]]"},
                      CsvRow{"1,2\r\n3,4.5", "double[2,2] [[1, 2], [3, 4.5]]"},
                      CsvRow{"\n\na,b\n\n1,2\n\n", "int64[1,2] [[1, 2]]"},
                      CsvRow{"a\n", "string[0,1] []"},
                      CsvRow{"nan,inf\n1,2\n", "double[2,2] [[\"NaN\", \"Infinity\"], [1, 2]]"},
                      CsvRow{"x,2019\n1,5\n", "int64[1,2] [[1, 5]]"},
                      CsvRow{"true,false\n", "bool[1,2] [[true, false]]"},
                      CsvRow{"ok\ntrue\nfalse\n", "bool[2,1] [[true], [false]]"},
                      CsvRow{"ok,n\ntrue,3\n", "int64[1,2] [[1, 3]]"},
                      CsvRow{"\"a\"\"b\",\"c\"\n", "string[0,2] []"},
                      CsvRow{"h\n9223372036854775808\n", "double[1,1] [[9.223372036854776e+18]]"}));

TEST(Csv, SelectsByNameNumberAndRange) {
  CsvTable t = table("a,\"b,c\",d,3\n1,2,3,4\n");
  using Columns = std::vector<size_t>;
  EXPECT_EQ(t.select("d,a"), (Columns{2, 0}));
  EXPECT_EQ(t.select("\"b,c\""), (Columns{1}));
  EXPECT_EQ(t.select("1"), (Columns{1}));
  EXPECT_EQ(t.select("3"), (Columns{3}));
  EXPECT_EQ(t.select("a..d,3"), (Columns{0, 1, 2, 3}));
  expect_fails(ErrorKind::BadInput, "columns 'a,x' : there is no array 'x'; there are a, b,c, d, 3",
               [&] { t.select("a,x"); });
  expect_fails(ErrorKind::BadInput, "run backwards", [&] { t.select("d..a"); });
  expect_fails(ErrorKind::BadInput, "no columns", [&] { t.select(""); });
}

// A number that is missing matters where its column is asked for.
TEST(Csv, NamesRowAndColumnOfWhatIsMissing) {
  for (const char* none : {"", " ", "NA", "n/a", "#N/A", "null", "None", "?", "-"}) {
    CsvTable t = table(fmt::format("age,size,kind\n1,2,x\n3,{},-\n", none));
    EXPECT_TRUE(identical(t.arrays({0, 2})[1].tensor, Tensor::of<std::string>({2}, {"x", "-"})));
    std::string place = "line 3, column 'size' is ";
    expect_fails(ErrorKind::BadInput, place, [&] { t.arrays({1}); });
    expect_fails(ErrorKind::BadInput, place, [&] { t.matrix({0, 1}); });
  }
  // A first row with a gap is no header.
  EXPECT_FALSE(table("1,NA\n3,4\n").has_header());
  EXPECT_TRUE(table(",a\n0,4\n").has_header());
}

class CsvBad : public ::testing::TestWithParam<CsvRow> {};

TEST_P(CsvBad, IsRefused) {
  expect_fails(ErrorKind::BadInput, GetParam().result, [] { matrix(table(GetParam().text)); });
}

INSTANTIATE_TEST_SUITE_P(
    Rows, CsvBad,
    ::testing::Values(
        CsvRow{"", "the table is empty"}, CsvRow{"\n\n", "the table is empty"},
        CsvRow{"a,b\n1,2\n3\n", "line 3 has 1 cells where the first row has 2"},
        CsvRow{"a,b\n1,2,3\n", "line 2 has 3 cells"},
        CsvRow{"a,b\n1,\n2,3\n", "line 2, column 'b' is empty"},
        CsvRow{"a\n\"x\ny\n", "line 2: a quote is never closed"},
        CsvRow{"a\n\"x\"y\n", "line 2: text follows a quoted cell"},
        CsvRow{"a,1\nb,2\n", "column '0' holds text ('a' in row 1) and column '1' numbers"},
        CsvRow{"a,b\n1,red\n", "column 'b' holds text ('red' in row 1) and column 'a' numbers"}));

TEST(Csv, RefusesMoreThanTheBudget) {
  MemoryBudget budget(31);
  expect_fails(ErrorKind::Limit, "the table needs", [&] { CsvTable("1,2\n3,4\n", budget); });
}

TEST(Csv, TabsSeparateToo) { EXPECT_EQ(matrix(table("1\t2\n", '\t')), "int64[1,2] [[1, 2]]"); }

TEST(Csv, Writes) {
  NamedTensors arrays = {{"y", Tensor::of<float>({2}, {0.5f, 1})},
                         {"p", Tensor::of<int64_t>({2, 1, 2}, {1, 2, 3, 4})},
                         {"t,", Tensor::of<std::string>({2}, {"a\"b", ""})}};
  EXPECT_EQ(to_csv(arrays), "y,p_0,p_1,\"t,\"\r\n0.5,1,2,\"a\"\"b\"\r\n1,3,4,\"\"\r\n");
  EXPECT_EQ(to_csv({{"", Tensor::scalar(2.5)}}), "value\r\n2.5\r\n");
  expect_fails(ErrorKind::CannotWrite, "'a' is float[2], 'b' is float[3]", [] {
    to_csv({{"a", Tensor(DType::Float32, {2})}, {"b", Tensor(DType::Float32, {3})}});
  });
}

TEST(Csv, RoundTripsStrings) {
  Tensor t = Tensor::of<std::string>({4}, {"", "a,b", "line\r\nline", "\""});
  NamedTensors back = table(to_csv({{"s", t}})).arrays({0});
  EXPECT_TRUE(identical(back[0].tensor, t));
}

}  // namespace
}  // namespace onnxrun::testing
