// Tensors that move between a model file and the file beside it, however they were stored.
#include "model_storage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/model_maker.h"

namespace onnxrun {
namespace {

using onnx::TensorProto;

constexpr int count = 1000;  // enough to go to the file beside

// One initializer in the field of its type.
TensorProto& typed(ModelMaker& m, const std::string& name, int type) {
  TensorProto& t = *m.graph().add_initializer();
  t.set_name(name);
  t.set_data_type(type);
  t.add_dims(count);
  return t;
}

ModelMaker all_fields() {
  ModelMaker m = small_model();
  TensorProto& f32 = typed(m, "f32", TensorProto::FLOAT);
  TensorProto& f64 = typed(m, "f64", TensorProto::DOUBLE);
  TensorProto& i64 = typed(m, "i64", TensorProto::INT64);
  TensorProto& u64 = typed(m, "u64", TensorProto::UINT64);
  TensorProto& i32 = typed(m, "i32", TensorProto::INT32);
  TensorProto& i16 = typed(m, "i16", TensorProto::INT16);
  TensorProto& u8 = typed(m, "u8", TensorProto::UINT8);
  TensorProto& half = typed(m, "half", TensorProto::FLOAT16);
  TensorProto& text = typed(m, "text", TensorProto::STRING);
  TensorProto& packed = typed(m, "packed", static_cast<int>(DType::Int4));
  for (int i = 0; i < count; ++i) {
    f32.add_float_data(0.5F * static_cast<float>(i));
    f64.add_double_data(0.25 * i);
    i64.add_int64_data(-i);
    u64.add_uint64_data(~uint64_t{0} - static_cast<uint64_t>(i));
    i32.add_int32_data(-i);
    i16.add_int32_data(-i);
    u8.add_int32_data(i % 256);
    half.add_int32_data(0x3c00 + i);
    text.add_string_data(std::to_string(i));
    if (i % 2 == 0) packed.add_int32_data(i % 256);
  }
  return m;
}

void expect_same_tensors(const Graph& found, const Graph& expected) {
  ASSERT_EQ(found.initializers.size(), expected.initializers.size());
  for (const auto& [id, init] : expected.initializers) {
    const std::string& name = expected.name_of(id);
    auto it = found.initializers.find(found.find(name));
    ASSERT_NE(it, found.initializers.end()) << name;
    EXPECT_TRUE(identical(it->second.value, init.value)) << name;
  }
}

TEST(ModelStorage, MovesEveryFieldOutAndIn) {
  const ModelMaker m = all_fields();
  const Graph before = m.import();
  TempDir dir;
  write_model(m.bytes(), dir.path("out.onnx"), Storage::External);
  EXPECT_LT(dir.read("out.onnx").size(), m.bytes().size() / 2);
  EXPECT_GE(dir.read("out.onnx.data").size(), 1000U * (4 + 8 + 8 + 8 + 4 + 2 + 2));
  const Graph outside = import_model(dir.path("out.onnx"), maker_registry());
  expect_same_tensors(outside, before);
  dir.write("in.onnx", inlined_model(outside));
  expect_same_tensors(
      import_model(dir.path("in.onnx"), maker_registry(), {.external_data = ExternalData::Deny}),
      before);
}

TEST(ModelStorage, TakesOtherElements) {
  const ModelMaker m = all_fields();
  TempDir dir;
  write_model(m.bytes(), dir.path("out.onnx"), Storage::External);
  const Graph outside = import_model(dir.path("out.onnx"), maker_registry());
  auto stored = [&](const std::string& name) {
    return outside.initializers.at(outside.find(name)).stored;
  };
  const Tensor sevens = Tensor::of<float>({count}, std::vector<float>(count, 7.0F));
  const Tensor pair = Tensor::of<float>({2}, {8, 9});
  dir.write("in.onnx", inlined_model(outside, {{stored("f32"), sevens}, {stored("w"), pair}}));
  const Graph inside = import_model(dir.path("in.onnx"), maker_registry());
  EXPECT_TRUE(identical(inside.initializers.at(inside.find("f32")).value, sevens));
  EXPECT_TRUE(identical(inside.initializers.at(inside.find("w")).value, pair));
  try {
    inlined_model(outside, {{stored("f64"), sevens}});
    ADD_FAILURE() << "another type was taken";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Usage);
    EXPECT_NE(std::string(e.what()).find("'f64' is double"), std::string::npos) << e.what();
  }
}

// Other elements go into the field that has the old ones, of whatever type.
TEST(ModelStorage, TakesOtherElementsInEveryField) {
  const ModelMaker m = all_fields();
  const Graph before = m.import();
  std::map<int, Tensor> payloads;
  for (const auto& [id, init] : before.initializers) {
    if (init.value.dtype() == DType::String) continue;
    Tensor turned = init.value.clone();
    std::reverse(turned.raw(), turned.raw() + turned.bytes());
    payloads[init.stored] = turned;
  }
  EXPECT_EQ(payloads.size(), 10U);
  onnx::ModelProto model;
  const std::string bytes = inlined_model(before, payloads);
  ASSERT_TRUE(model.ParseFromString(bytes));
  for (const TensorProto& t : model.graph().initializer()) {
    EXPECT_EQ(t.has_raw_data(), t.name() == "w") << t.name();
  }
  const Graph after = import_model_bytes(bytes, "", maker_registry(), {});
  for (const auto& [id, init] : before.initializers) {
    const Tensor& found = after.initializers.at(after.find(before.name_of(id))).value;
    auto payload = payloads.find(init.stored);
    const Tensor& expected = payload == payloads.end() ? init.value : payload->second;
    EXPECT_TRUE(identical(found, expected)) << before.name_of(id);
  }
}

TEST(ModelStorage, SaysThatADataFileIsGone) {
  const ModelMaker m = all_fields();
  TempDir dir;
  write_model(m.bytes(), dir.path("out.onnx"), Storage::External);
  const Graph outside = import_model(dir.path("out.onnx"), maker_registry());
  dir.write("out.onnx.data", "short");
  EXPECT_THROW(inlined_model(outside), Error);
  EXPECT_THROW(inlined_model(Graph(maker_registry())), Error);
}

}  // namespace
}  // namespace onnxrun
