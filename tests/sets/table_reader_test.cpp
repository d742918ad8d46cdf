#include "sets/table_reader.h"

#include <gtest/gtest.h>

#include "formats/source.h"
#include "sets/dataset.h"
#include "support/files.h"

namespace onnxrun::testing {

namespace {

void expect_same(const std::string& spec) {
  auto samples = open_samples(spec);
  ASSERT_TRUE(samples) << spec;
  Tensor whole = read_array(spec).tensor;
  ASSERT_EQ(samples->dims(), whole.dims()) << spec;
  ASSERT_EQ(samples->dtype(), whole.dtype()) << spec;
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < whole.dim(0); ++i) numbers.push_back((i * 3) % whole.dim(0));
  Dataset in_memory({{"x", whole}}), in_file({{"x", {}, 0, false, samples}});
  Tensor a(whole.dtype(), whole.dims()), b(whole.dtype(), whole.dims());
  in_memory.gather(0, numbers, a);
  in_file.gather(0, numbers, b);
  EXPECT_TRUE(identical(a, b)) << spec;
}

TEST(TableReader, ReadsWhatTheTableHas) {
  TempDir dir;
  std::string path =
      dir.write("t.csv",
                "\xef\xbb\xbf"
                "a,\"b,c\",ok,name,r\r\n\r\n1,2,true,\"x\r\ny\",0.5\n3,4,False,z,1e3\n"
                "5,\"6\",true,\"q\"\"\",-7");
  for (const char* key : {"a,r", "\"b,c\"", "ok", "ok,a", "a,ok,r", "0..2", "r"}) {
    expect_same(path + ":" + key);
  }
  expect_same(dir.write("n.csv", "1,2.5\n3,4\n5,6\n"));
  expect_same(dir.write("h.csv", "x,y\n3,4\n5,6\n"));
  expect_same(dir.write("t.tsv", "x\ty\n3\t4\n5\t6"));
}

// Rows that reach over the pieces in which the file is read, and such that are longer.
TEST(TableReader, ReadsLongTables) {
  TempDir dir;
  std::string text = "a,b,note\n";
  for (int i = 0; i < 150000; ++i) text += fmt::format("{},{}.5,\"no\nte{}\"\n", i, i % 97, i % 7);
  text += "7,8," + std::string(3 << 20, 'x') + "\n9,10,y\n";
  expect_same(dir.write("t.csv", text) + ":a,b");
}

TEST(TableReader, NamesWhatIsWrong) {
  TempDir dir;
  auto wrong = [&](const std::string& text, const std::string& key, const std::string& message) {
    expect_fails(ErrorKind::BadInput, message,
                 [&] { open_samples(dir.write("t.csv", text) + ":" + key); });
  };
  wrong("a,b\n1,2\n3,NA\n", "a,b", "line 3, column 'b' is 'NA'; a number should be there");
  wrong("a,b\n1,2\n3,\n", "b", "line 3, column 'b' is empty");
  wrong("a,b\n1,2\n3,x\n", "b", "line 3, column 'b' is 'x'");
  wrong("a,b\n1,2\n3\n", "a", "line 3 has 1 cells where the first row has 2");
  wrong("a,b\n1,\"2\n", "a", "line 2: a quote is never closed");
  wrong("a,b\n1,2\n", "c", "there is no array 'c'");
  wrong("", "a", "the table is empty");
  EXPECT_TRUE(open_samples(dir.write("t.csv", "a,b\n1,2\n3,NA\n") + ":a"));
  // A file that changes after it was opened.
  auto samples = open_samples(dir.write("s.csv", "a,b\n1,2\n3,4\n") + ":a");
  dir.write("s.csv", "a,b\n1 2 3 4 \n");
  Tensor out(DType::Int64, {2});
  EXPECT_THROW(samples->read(std::vector<int64_t>{0, 1}, out), Error);
}

}  // namespace

}  // namespace onnxrun::testing
