// The trained model is the read one, byte for byte, but for the elements.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "model_rewriter.h"
#include "onnx_exporter.h"
#include "support/files.h"
#include "support/lists.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

namespace fs = std::filesystem;
using onnx::AttributeProto;
using onnx::TensorProto;
using testing::float_list;

int stored_index(const Graph& g, const std::string& name) {
  return g.initializers.at(g.find(name)).stored;
}

// Imports, replaces one tensor, exports, reads again.
class RoundTrip {
 public:
  explicit RoundTrip(const ModelMaker& m) : before_(m.bytes()), graph_(m.import()) {}

  std::string write(const std::map<std::string, Tensor>& values) {
    std::map<int, Tensor> payloads;
    for (const auto& [name, value] : values) payloads[stored_index(graph_, name)] = value;
    export_trained(graph_, payloads, dir_.path("out.onnx"));
    return dir_.read("out.onnx");
  }
  const std::string& before() const { return before_; }
  const Graph& graph() const { return graph_; }

 private:
  TempDir dir_;
  std::string before_;
  Graph graph_;
};

// Bytes that differ; all if the lengths do.
size_t different_bytes(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return std::max(a.size(), b.size());
  size_t count = 0;
  for (size_t i = 0; i < a.size(); ++i) count += a[i] != b[i];
  return count;
}

Tensor reread(const std::string& bytes, const std::string& name) {
  Graph g = import_model_bytes(bytes, "", maker_registry());
  return g.initializers.at(g.find(name)).value;
}

// Puts w of small_model() into another field.
struct StorageRow {
  const char* name;
  std::function<void(TensorProto&)> store;
  Tensor value;
};

template <typename T>
std::string wire_bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string unpacked_floats(const std::vector<float>& values) {
  std::string bytes;
  for (float v : values) {
    bytes.push_back(static_cast<char>(4 << 3 | 5));
    bytes += wire_bytes<float>({v});
  }
  return bytes;
}

const StorageRow storage_rows[] = {
    {"raw_data", [](TensorProto&) {}, float_list({5, 6})},
    {"raw_data with room", [](TensorProto& t) { t.mutable_raw_data()->append("rest"); },
     float_list({5, 6})},
    {"float_data",
     [](TensorProto& t) {
       t.clear_raw_data();
       t.add_float_data(1);
       t.add_float_data(2);
     },
     float_list({5, 6})},
    {"float_data one by one",
     [](TensorProto& t) {
       t.clear_raw_data();
       std::string bytes = t.SerializeAsString() + unpacked_floats({1, 2});
       t.ParseFromString(bytes);
     },
     float_list({5, 6})},
    {"double_data",
     [](TensorProto& t) {
       t.clear_raw_data();
       t.set_data_type(TensorProto::DOUBLE);
       t.add_double_data(1);
       t.add_double_data(2);
     },
     Tensor::of<double>({2}, {5, 6})},
    {"int32_data of float16",
     [](TensorProto& t) {
       t.clear_raw_data();
       t.set_data_type(TensorProto::FLOAT16);
       t.add_int32_data(0x3c00);
       t.add_int32_data(0x4000);
     },
     convert(float_list({1.5f, 6}), DType::Float16)},
    {"int64_data",
     [](TensorProto& t) {
       t.clear_raw_data();
       t.set_data_type(TensorProto::INT64);
       t.add_int64_data(1);
       t.add_int64_data(2);
     },
     Tensor::of<int64_t>({2}, {5, 6})},
    {"string_data",
     [](TensorProto& t) {
       t.clear_raw_data();
       t.set_data_type(TensorProto::STRING);
       t.add_string_data("a");
       t.add_string_data("b");
     },
     Tensor::of<std::string>({2}, {"c", "d"})},
};

TEST(TrainedExport, ReplacesElementsOnly) {
  for (const StorageRow& row : storage_rows) {
    ModelMaker m = small_model();
    row.store(*m.graph().mutable_initializer(0));
    m.graph().mutable_node(0)->set_input(1, "x");
    RoundTrip trip(m);
    EXPECT_EQ(trip.write({}), trip.before()) << row.name;
    EXPECT_EQ(trip.write({{"w", reread(trip.before(), "w")}}), trip.before()) << row.name;
    std::string after = trip.write({{"w", row.value}});
    EXPECT_GT(different_bytes(after, trip.before()), 0u) << row.name;
    EXPECT_LE(different_bytes(after, trip.before()), 16u) << row.name;
    EXPECT_TRUE(identical(reread(after, "w"), row.value)) << row.name;
  }
}

TEST(TrainedExport, LengthsFollowVariableLengthIntegers) {
  ModelMaker m = small_model();
  auto& w = *m.graph().mutable_initializer(0);
  w.clear_raw_data();
  w.set_data_type(TensorProto::INT64);
  w.add_int64_data(1);
  w.add_int64_data(2);
  m.graph().mutable_node(0)->set_input(1, "x");
  add_unknown(w, 999, "kept");
  add_unknown(m.model, 1000, "kept, too");
  RoundTrip trip(m);
  Tensor value = Tensor::of<int64_t>({2}, {-1, INT64_MAX});
  std::string after = trip.write({{"w", value}});
  EXPECT_TRUE(identical(reread(after, "w"), value));
  onnx::ModelProto expected = m.model, found;
  expected.mutable_graph()->mutable_initializer(0)->set_int64_data(0, -1);
  expected.mutable_graph()->mutable_initializer(0)->set_int64_data(1, INT64_MAX);
  found.ParseFromString(after);
  EXPECT_EQ(found.SerializeAsString(), expected.SerializeAsString());
}

TEST(TrainedExport, FindsConstantsSubgraphsAndFunctions) {
  ModelMaker m = small_model();
  auto* import = m.model.add_opset_import();
  import->set_domain("my");
  import->set_version(1);
  ModelMaker::attribute(m.node("Constant", {}, {"one"}), "value_float", AttributeProto::FLOAT)
      .set_f(1);
  auto& list = ModelMaker::attribute(m.node("Constant", {}, {"list"}), "value_floats",
                                     AttributeProto::FLOATS);
  list.add_floats(1);
  list.add_floats(2);
  auto& f = m.function("F", {"a"}, {"b"});
  auto& constant = ModelMaker::add_node(*f.mutable_node(), "Constant", {}, {"k"});
  ModelMaker::fill(*ModelMaker::attribute(constant, "value", AttributeProto::TENSOR).mutable_t(),
                   {2});
  ModelMaker::add_node(*f.mutable_node(), "Mul", {"a", "k"}, {"b"});
  m.node("F", {"x"}, {"z"}).set_domain("my");
  auto& branch = m.node("If", {"x"}, {"r"});
  branch.set_name("if");
  for (const char* name : {"then_branch", "else_branch"}) {
    auto& body = ModelMaker::body(branch, name);
    ModelMaker::add_initializer(body, name, {3});
    ModelMaker::add_node(*body.mutable_node(), "Add", {"x", name}, {std::string(name) + "s"});
    body.add_output()->set_name(std::string(name) + "s");
  }
  RoundTrip trip(m);
  std::map<std::string, Tensor> values = {{"one", Tensor::scalar(7.0f)},
                                          {"list", float_list({8, 9})},
                                          {"my.F/k", float_list({10})},
                                          {"if/else_branch", float_list({11})}};
  std::string after = trip.write(values);
  EXPECT_LE(different_bytes(after, trip.before()), 4u * 5);
  for (const auto& [name, value] : values)
    EXPECT_TRUE(identical(reread(after, name), value)) << name;
  EXPECT_TRUE(identical(reread(after, "if/then_branch"), float_list({3})));
}

TEST(TrainedExport, KeepsSparseTensorsSparse) {
  ModelMaker m = small_model();
  auto& sparse = *m.graph().add_sparse_initializer();
  sparse.add_dims(4);
  sparse.mutable_values()->set_name("s");
  ModelMaker::fill(*sparse.mutable_values(), {1, 2});
  sparse.mutable_indices()->set_data_type(TensorProto::INT64);
  sparse.mutable_indices()->add_dims(2);
  for (int64_t i : {0, 3}) sparse.mutable_indices()->add_int64_data(i);
  RoundTrip trip(m);
  std::string after = trip.write({{"s", float_list({5, 0, 0, 6})}});
  EXPECT_TRUE(identical(reread(after, "s"), float_list({5, 0, 0, 6})));
  EXPECT_LE(different_bytes(after, trip.before()), 8u);
  try {
    trip.write({{"s", float_list({5, 1, 0, 6})}});
    FAIL() << "no place for 1";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::CannotWrite);
  }
}

TEST(TrainedExport, GraphsInSeveralPiecesAreMerged) {
  ModelMaker m = small_model();
  onnx::ModelProto tail;
  ModelMaker::add_initializer(*tail.mutable_graph(), "late", {1});
  std::string bytes = m.bytes() + tail.SerializeAsString();
  Graph g = import_model_bytes(bytes, "", maker_registry());
  TempDir dir;
  export_trained(g, {{stored_index(g, "late"), float_list({4})}}, dir.path("out.onnx"));
  EXPECT_TRUE(identical(reread(dir.read("out.onnx"), "late"), float_list({4})));
}

TEST(TrainedExport, RefusesPayloadsThatDoNotFit) {
  RoundTrip trip(small_model());
  EXPECT_THROW(trip.write({{"w", Tensor::of<double>({2}, {1, 2})}}), Error);
  EXPECT_THROW(trip.write({{"w", float_list({1, 2, 3})}}), Error);
  EXPECT_THROW(export_trained(Graph(maker_registry()), {}, "nowhere.onnx"), Error);
}

TEST(TrainedExport, ModelsOfExportersKeepEveryByte) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(testing::data_path("corpus"))) {
    TempDir dir;
    fs::path path = entry.path() / "model.onnx";
    if (!fs::exists(path)) continue;
    fs::copy_file(path, dir.path("m"));
    std::string bytes = dir.read("m");
    auto keep = [](MessageKind, const WirePath&, std::string_view) { return std::nullopt; };
    EXPECT_EQ(rewrite_model(bytes, keep), bytes) << path;
    EXPECT_FALSE(has_split_messages(bytes)) << path;
    ++count;
  }
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace onnxrun
