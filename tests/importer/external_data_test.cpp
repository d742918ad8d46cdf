#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/error.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

namespace fs = std::filesystem;
using Entries = std::vector<std::pair<std::string, std::string>>;

// w, two floats, in external data.
ModelMaker external_model(const Entries& entries) {
  ModelMaker m = small_model();
  auto& w = *m.graph().mutable_initializer(0);
  w.clear_raw_data();
  w.set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] : entries) {
    auto* entry = w.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
  return m;
}

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

class ExternalDataFiles : public ::testing::Test {
 protected:
  ExternalDataFiles() {
    fs::create_directories(dir_.path("models/sub"));
    fs::create_directories(dir_.path("cache"));
    dir_.write("models/w.bin", floats({9, 5, 6}));
    dir_.write("models/sub/w.bin", floats({7, 8}));
    dir_.write("models/empty.bin", "");
    dir_.write("secret.bin", floats({1, 2}));
    dir_.write("cache/blob", floats({3, 4}));
    fs::create_symlink("../secret.bin", dir_.path("models/link.bin"));
    fs::create_symlink("../cache/blob", dir_.path("models/blob.bin"));
    fs::create_symlink("..", dir_.path("models/up"));
    fs::create_symlink("w.bin", dir_.path("models/inner.bin"));
    ::mkfifo(dir_.path("models/pipe").c_str(), 0600);
  }

  std::vector<double> weights(const Entries& entries, const ImportOptions& options = {}) {
    dir_.write("models/m.onnx", external_model(entries).bytes());
    Graph g = import_model(dir_.path("models/m.onnx"), maker_registry(), options);
    return to_doubles(g.initializers.at(g.find("w")).value);
  }

  void expect_error(const Entries& entries, const std::string& text,
                    const ImportOptions& options = {}) {
    try {
      weights(entries, options);
      ADD_FAILURE() << text << ": no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::BadModel) << e.what();
      EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("tensor 'w'"), std::string::npos) << e.what();
    }
  }

  TempDir dir_;
};

TEST_F(ExternalDataFiles, AreReadAtOffsetAndLength) {
  using V = std::vector<double>;
  EXPECT_EQ(weights({{"location", "w.bin"}}), (V{9, 5}));
  EXPECT_EQ(weights({{"location", "w.bin"}, {"offset", "4"}, {"length", "8"}}), (V{5, 6}));
  EXPECT_EQ(weights({{"location", "sub/w.bin"}, {"checksum", "x"}}), (V{7, 8}));
  EXPECT_EQ(weights({{"location", "./sub//w.bin"}}), (V{7, 8}));
}

TEST_F(ExternalDataFiles, MayBeEmptyForEmptyTensors) {
  ModelMaker m = external_model({{"location", "empty.bin"}, {"offset", "0"}, {"length", "0"}});
  m.graph().mutable_initializer(0)->set_dims(0, 0);
  dir_.write("models/m.onnx", m.bytes());
  EXPECT_NO_THROW(import_model(dir_.path("models/m.onnx"), maker_registry()));
}

TEST_F(ExternalDataFiles, DoNotLeaveTheFolder) {
  expect_error({{"location", "../secret.bin"}}, "leads out");
  expect_error({{"location", "sub/../../secret.bin"}}, "leads out");
  expect_error({{"location", dir_.path("secret.bin")}}, "is absolute");
  expect_error({{"location", "link.bin"}}, "is a link");
  expect_error({{"location", "inner.bin"}}, "is a link");
  expect_error({{"location", "up/secret.bin"}}, "is a link or lies behind one");
  expect_error({{"location", ""}}, "is empty");
  expect_error({}, "is empty");
  expect_error({{"location", std::string("w.bin\0x", 7)}}, "zero byte");
}

TEST_F(ExternalDataFiles, AreRegularFiles) {
  expect_error({{"location", "sub"}}, "not a regular file");
  expect_error({{"location", "pipe"}}, "not a regular file");
  expect_error({{"location", "none.bin"}}, "cannot be opened");
}

TEST_F(ExternalDataFiles, HoldWhatOffsetAndLengthSay) {
  expect_error({{"location", "w.bin"}, {"offset", "8"}},
               "has 12 bytes, but 8 are needed from offset 8");
  expect_error({{"location", "w.bin"}, {"offset", "13"}}, "from offset 13");
  expect_error({{"location", "w.bin"}, {"length", "12"}}, "length is 12");
  expect_error({{"location", "w.bin"}, {"offset", "-4"}}, "offset is '-4'");
  expect_error({{"location", "w.bin"}, {"offset", "4x"}}, "offset is '4x'");
  expect_error({{"location", "w.bin"}, {"offset", "9223372036854775807"}},
               "from offset 9223372036854775807");
  expect_error({{"location", "w.bin"}, {"offset", "99999999999999999999"}}, "offset is '9999");
  expect_error({{"location", "w.bin"}, {"length", "18446744073709551624"}}, "length is '1844");
}

TEST_F(ExternalDataFiles, AreAllocatedOnlyAfterTheirSizeIsKnown) {
  ModelMaker m = external_model({{"location", "w.bin"}});
  m.graph().mutable_initializer(0)->set_dims(0, int64_t{1} << 60);
  dir_.write("models/m.onnx", m.bytes());
  try {
    import_model(dir_.path("models/m.onnx"), maker_registry());
    FAIL() << "4 EiB";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::BadModel) << e.what();
  }
}

TEST_F(ExternalDataFiles, CanBeDenied) {
  ImportOptions deny;
  deny.external_data = ExternalData::Deny;
  expect_error({{"location", "w.bin"}}, "external data is denied", deny);
}

TEST_F(ExternalDataFiles, MayLieInTheAllowedFolder) {
  ImportOptions cache;
  cache.external_data = ExternalData::Dir;
  cache.external_dir = dir_.path("cache");
  EXPECT_EQ(weights({{"location", "blob.bin"}}, cache), (std::vector<double>{3, 4}));
  EXPECT_EQ(weights({{"location", "w.bin"}}, cache), (std::vector<double>{9, 5}));
  expect_error({{"location", "link.bin"}}, "does not lead into the allowed folder", cache);
  expect_error({{"location", "../cache/blob"}}, "leads out", cache);
}

}  // namespace
}  // namespace onnxrun
