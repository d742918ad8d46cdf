// Where trained tensors of external data go, and what is never touched.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "onnx_exporter.h"
#include "support/lists.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

namespace fs = std::filesystem;
using testing::float_list;

void make_external(onnx::TensorProto& tensor, const std::string& location, int64_t offset) {
  tensor.clear_raw_data();
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] : {std::pair<std::string, std::string>{"location", location},
                                   {"offset", std::to_string(offset)},
                                   {"length", std::to_string(tensor.dims(0) * 4)}}) {
    auto* entry = tensor.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
}

std::string raw(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

class ExternalExport : public ::testing::Test {
 protected:
  // a and b in in.data (with other bytes around them), c in second.bin.
  ExternalExport() {
    ModelMaker m = small_model();
    make_external(m.initializer("a", {0, 0}), "in.data", 4);
    make_external(m.initializer("b", {0}), "in.data", 16);
    make_external(m.initializer("c", {0}), "second.bin", 0);
    model_ = m.bytes();
    fs::create_directories(dir_.path("other"));
    dir_.write("in.onnx", model_);
    dir_.write("in.data", data_);
    dir_.write("second.bin", raw({30}));
  }

  Graph import(const std::string& name = "in.onnx") {
    return import_model(dir_.path(name), maker_registry());
  }
  int index(const Graph& g, const std::string& name) {
    return g.initializers.at(g.find(name)).stored;
  }
  std::vector<double> values(const Graph& g, const std::string& name) {
    return to_doubles(g.initializers.at(g.find(name)).value);
  }
  void expect_input_untouched() {
    EXPECT_EQ(dir_.read("in.onnx"), model_);
    EXPECT_EQ(dir_.read("in.data"), data_);
    EXPECT_EQ(dir_.read("second.bin"), raw({30}));
  }

  TempDir dir_;
  std::string model_;
  std::string data_ = raw({1, 10, 11, 2, 20, 3});
};

TEST_F(ExternalExport, GoesToFilesOfItsOwn) {
  Graph g = import();
  for (const char* out : {"out.onnx", "other/out.onnx"}) {
    export_trained(g, {{index(g, "a"), float_list({7, 8})}, {index(g, "w"), float_list({5, 6})}},
                   dir_.path(out));
    std::string base = dir_.path(out);
    expect_input_untouched();
    EXPECT_EQ(dir_.read(std::string(out) + ".data"), raw({1, 7, 8, 2, 20, 3}));
    EXPECT_EQ(dir_.read(std::string(out) + ".1.data"), raw({30}));
    Graph h = import(out);
    EXPECT_EQ(values(h, "a"), (std::vector<double>{7, 8}));
    EXPECT_EQ(values(h, "b"), (std::vector<double>{20}));
    EXPECT_EQ(values(h, "c"), (std::vector<double>{30}));
    EXPECT_EQ(values(h, "w"), (std::vector<double>{5, 6}));
  }
}

TEST_F(ExternalExport, OnlyTheLocationChanges) {
  Graph g = import();
  export_trained(g, {}, dir_.path("out.onnx"));
  onnx::ModelProto expected, found;
  expected.ParseFromString(model_);
  found.ParseFromString(dir_.read("out.onnx"));
  auto& tensors = *expected.mutable_graph()->mutable_initializer();
  tensors[1].mutable_external_data(0)->set_value("out.onnx.data");
  tensors[2].mutable_external_data(0)->set_value("out.onnx.data");
  tensors[3].mutable_external_data(0)->set_value("out.onnx.1.data");
  EXPECT_EQ(found.SerializeAsString(), expected.SerializeAsString());
}

TEST_F(ExternalExport, NeverOverwritesTheInput) {
  Graph g = import();
  fs::create_symlink("in.data", dir_.path("link.onnx.data"));
  fs::create_symlink("in.onnx", dir_.path("same.onnx"));
  for (const char* out : {"in.onnx", "link.onnx", "same.onnx", "other/../in.onnx"}) {
    try {
      export_trained(g, {}, dir_.path(out));
      ADD_FAILURE() << out;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::CannotWrite) << e.what();
    }
    expect_input_untouched();
  }
}

TEST_F(ExternalExport, ReplacesTheInputWhenAsked) {
  Graph g = import();
  TrainedExportOptions options;
  options.in_place = true;
  export_trained(g, {{index(g, "b"), float_list({21})}}, dir_.path("in.onnx"), options);
  EXPECT_EQ(dir_.read("in.onnx"), model_);
  EXPECT_EQ(dir_.read("in.data"), raw({1, 10, 11, 2, 21, 3}));
}

TEST_F(ExternalExport, FailuresLeaveNothingBehind) {
  Graph g = import();
  fs::remove(dir_.path("second.bin"));
  EXPECT_THROW(export_trained(g, {}, dir_.path("other/out.onnx")), Error);
  EXPECT_FALSE(fs::exists(dir_.path("other/out.onnx")));
  EXPECT_THROW(export_trained(g, {}, dir_.path("none/out.onnx")), Error);
}

TEST_F(ExternalExport, SharedBytesMustAgree) {
  ModelMaker m = small_model();
  make_external(m.initializer("a", {0, 0}), "in.data", 4);
  make_external(m.initializer("b", {0, 0}), "in.data", 4);
  dir_.write("tied.onnx", m.bytes());
  Graph g = import("tied.onnx");
  Tensor one = float_list({7, 8}), two = float_list({7, 9});
  std::string out = dir_.path("out.onnx");
  EXPECT_NO_THROW(export_trained(g, {{index(g, "a"), one}, {index(g, "b"), one}}, out));
  EXPECT_NO_THROW(export_trained(g, {}, out));
  EXPECT_THROW(export_trained(g, {{index(g, "a"), one}, {index(g, "b"), two}}, out), Error);
  EXPECT_THROW(export_trained(g, {{index(g, "a"), one}}, out), Error);
}

}  // namespace
}  // namespace onnxrun
