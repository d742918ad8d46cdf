// A model's elements are in memory once, and the file can still be written back as it was.
#include "model_file.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "onnx_exporter.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

constexpr int elements = 4096;

std::vector<float> ramp(float from) {
  std::vector<float> values(elements);
  for (size_t i = 0; i < values.size(); ++i) values[i] = from + static_cast<float>(i);
  return values;
}

// y = x + w0 + w1 ... with large weights, and a small one that stays in the message.
ModelMaker large_model(int weights = 3) {
  ModelMaker m;
  m.input("x", {"N", std::to_string(elements)});
  std::string v = "x";
  for (int k = 0; k < weights; ++k) {
    std::string name = "w" + std::to_string(k), next = "v" + std::to_string(k);
    m.initializer(name, ramp(static_cast<float>(1000 * k)));
    m.node("Add", {v, name}, {next});
    v = next;
  }
  m.initializer("small", {1});
  m.node("Add", {v, "small"}, {"y"});
  m.output("y");
  return m;
}

class Loaded {
 public:
  explicit Loaded(const std::string& bytes) : graph_(load(bytes)) {}
  const Graph& graph() const { return graph_; }
  const ModelSource& source() const { return *graph_.source; }
  const Initializer& initializer(const std::string& name) const {
    return graph_.initializers.at(graph_.find(name));
  }
  std::string write(const std::map<int, Tensor>& payloads) const {
    export_trained(graph_, payloads, dir_.path("out.onnx"));
    return dir_.read("out.onnx");
  }

 private:
  Graph load(const std::string& bytes) const {
    dir_.write("m.onnx", bytes);
    return import_model(dir_.path("m.onnx"), maker_registry());
  }

  TempDir dir_;
  Graph graph_;
};

TEST(ModelFile, ElementsAreThereOnce) {
  ModelMaker m = large_model();
  Loaded loaded(m.bytes());
  ASSERT_EQ(loaded.source().cuts.size(), 3u);
  EXPECT_LT(loaded.source().bytes.size(), 1000u);
  for (int k = 0; k < 3; ++k) {
    const Tensor& value = loaded.initializer("w" + std::to_string(k)).value;
    EXPECT_TRUE(loaded.source().cuts[static_cast<size_t>(k)].elements.same_buffer(value));
    EXPECT_EQ(value.data<float>()[7], static_cast<float>(1000 * k + 7));
  }
  EXPECT_EQ(loaded.source().file_bytes(), m.bytes());
}

TEST(ModelFile, IsWrittenBackWithOtherElements) {
  ModelMaker m = large_model();
  Loaded loaded(m.bytes());
  EXPECT_EQ(loaded.write({}), m.bytes());
  Tensor other(DType::Float32, {elements});
  std::fill_n(other.data<float>(), elements, -1.0f);
  ModelMaker expected = large_model();
  expected.graph().mutable_initializer(1)->set_raw_data(
      std::string(reinterpret_cast<const char*>(other.raw()), static_cast<size_t>(other.bytes())));
  EXPECT_EQ(loaded.write({{loaded.initializer("w1").stored, other}}), expected.bytes());
  // What was read is not what was written.
  EXPECT_EQ(loaded.source().file_bytes(), m.bytes());
}

// Bytes that are in no tensor: they stay in the file all the same.
TEST(ModelFile, KeepsWhatTensorsDoNotHold) {
  using Change = void (*)(ModelMaker&);
  const std::pair<const char*, Change> rows[] = {
      {"more bytes than elements",
       [](ModelMaker& m) { m.graph().mutable_initializer(0)->mutable_raw_data()->append("abc"); }},
      {"bools that are neither 0 nor 1",
       [](ModelMaker& m) {
         onnx::TensorProto& t = *m.graph().add_initializer();
         t.set_name("flags");
         t.set_data_type(onnx::TensorProto::BOOL);
         t.add_dims(5000);
         t.set_raw_data(std::string(5000, '\x07'));
       }},
      {"bits behind the last element",
       [](ModelMaker& m) {
         onnx::TensorProto& t = *m.graph().add_initializer();
         t.set_name("packed");
         t.set_data_type(21);  // uint4
         t.add_dims(9999);
         t.set_raw_data(std::string(5000, '\xff'));
       }},
      {"unknown fields",
       [](ModelMaker& m) {
         add_unknown(*m.graph().mutable_initializer(1), 999, std::string(5000, 'u'));
         add_unknown(m.graph(), 998, "graph");
         add_unknown(m.model, 997, "model");
       }},
      {"the same field twice in one tensor",
       [](ModelMaker& m) {
         add_unknown(*m.graph().mutable_initializer(2), onnx::TensorProto::kRawDataFieldNumber,
                     std::string(4 * elements, '\0'));
       }},
  };
  for (const auto& [name, change] : rows) {
    ModelMaker m = large_model();
    change(m);
    Loaded loaded(m.bytes());
    EXPECT_EQ(loaded.source().file_bytes(), m.bytes()) << name;
    EXPECT_EQ(loaded.write({}), m.bytes()) << name;
  }
}

TEST(ModelFile, TooFewBytesAreAnError) {
  ModelMaker m = large_model();
  m.graph().mutable_initializer(0)->mutable_raw_data()->resize(5000);
  EXPECT_THROW(Loaded(m.bytes()), Error);
  m = large_model();
  m.graph().mutable_initializer(0)->add_float_data(1);
  EXPECT_THROW(Loaded(m.bytes()), Error);
}

// Whatever a file breaks off in or holds instead, it is an error or a model, as it is from memory.
TEST(ModelFile, DamagedFilesAreWhatTheyAreInMemory) {
  std::string good = large_model(1).bytes();
  auto opens = [](auto&& load) {
    try {
      load();
      return true;
    } catch (const Error& e) {
      EXPECT_NE(e.kind(), ErrorKind::Internal) << e.what();
      return false;
    }
  };
  for (size_t at = 0; at<good.size(); at += at> 200 && at + 600 < good.size() ? 509 : 1) {
    std::string cut = good.substr(0, at), changed = good;
    changed[at] = static_cast<char>(changed[at] ^ 0x15);
    for (const std::string& bytes : {cut, changed}) {
      EXPECT_EQ(opens([&] { Loaded{bytes}; }),
                opens([&] { import_model_bytes(bytes, "", maker_registry()); }))
          << at;
    }
  }
}

}  // namespace
}  // namespace onnxrun
