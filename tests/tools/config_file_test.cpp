#include "config_file.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"

namespace onnxrun::tool {

namespace {

using onnxrun::testing::expect_fails;

std::vector<std::string> values(const std::string& text) {
  std::vector<ConfigEntry> entries = parse_config("key = " + text);
  EXPECT_EQ(entries.size(), 1U);
  return entries.at(0).values;
}

TEST(ConfigFile, ReadsValues) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(values("\"a\\tb\\\"\\\\ # \\u00e9\\U0001F600\"  # more"),
            (Texts{"a\tb\"\\ # \xc3\xa9\xf0\x9f\x98\x80"}));
  EXPECT_EQ(values("'C:\\new'"), (Texts{"C:\\new"}));
  EXPECT_EQ(values("-1_000.5e-3"), (Texts{"-1000.5e-3"}));
  EXPECT_EQ(values("[ 1, 'a,]', # one\n \"b\",\n]"), (Texts{"1", "a,]", "b"}));
  EXPECT_EQ(values("[]"), Texts{});
  EXPECT_EQ(values("true"), (Texts{"true"}));
}

TEST(ConfigFile, ReadsTablesAndLines) {
  std::vector<ConfigEntry> entries =
      parse_config("\xef\xbb\xbf# x\r\na_b=1\r\n\r\n[ train ]\n\"c\" = 2\n[eval]\na_b = 3");
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].name, "a-b");
  EXPECT_EQ(entries[0].section, "");
  EXPECT_EQ(entries[1].name, "c");
  EXPECT_EQ(entries[1].section, "train");
  EXPECT_EQ(entries[1].line, 5);
  EXPECT_EQ(entries[2].section, "eval");
}

TEST(ConfigFile, ReadsBackWhatItWrites) {
  std::vector<ConfigEntry> entries = {{"", "a", {"x#\"\\\n", "1e5"}},
                                      {"", "b", {"true"}, true},
                                      {"", "c", {"true"}},
                                      {"", "d", {"1."}},
                                      {"", "e", {".5"}},
                                      {"", "f", {"inf"}},
                                      {"", "g", {""}},
                                      {"", "h", {"0.5"}}};
  std::vector<ConfigEntry> back = parse_config(config_text(entries));
  ASSERT_EQ(back.size(), entries.size());
  for (size_t k = 0; k < back.size(); ++k) {
    EXPECT_EQ(back[k].name, entries[k].name);
    EXPECT_EQ(back[k].values, entries[k].values);
    EXPECT_EQ(back[k].is_boolean, entries[k].is_boolean);
  }
}

TEST(ConfigFile, NamesTheLineOfWhatIsWrong) {
  for (const char* text : {"=",
                           "a",
                           "a =",
                           "a = b",
                           "a = 1 1",
                           "a = \"",
                           "a = \"\\q\"",
                           "a = \"\\u12\"",
                           "a = [1",
                           "a = [1 2]",
                           "a = {b = 1}",
                           "a.b = 1",
                           "[a",
                           "[[a]]",
                           "[a.b]",
                           "a = 2020-01-01",
                           "a = 0x10",
                           "a = \"\"\"b\"\"\"",
                           "a = '",
                           "a = 1\na = 2",
                           "a = 1e999x",
                           "a = \"\\",
                           "a = \"\\ud800\""}) {
    expect_fails(ErrorKind::Usage, "line ", [&] { parse_config(text); });
  }
}

}  // namespace

}  // namespace onnxrun::tool
