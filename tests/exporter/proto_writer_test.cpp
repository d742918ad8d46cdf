// Types and attributes as messages.
#include "proto_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "attribute_reader.h"
#include "graph_changes.h"
#include "support/model_maker.h"
#include "type_reader.h"

namespace onnxrun {
namespace {

TEST(ProtoWriter, TypesComeBack) {
  const Type floats = Type::tensor(DType::Float32, Shape{Dim(2), Dim::symbol("N")});
  for (const Type& type :
       {floats, Type::sequence(floats), Type::optional(floats), Type::map(DType::Int64, floats),
        Type::map(DType::String, Type::sequence(floats)), Type::optional(Type::sequence(floats))}) {
    EXPECT_EQ(read_type(write_type(type)).to_string(), type.to_string());
  }
}

TEST(ProtoWriter, AttributesOfEveryKind) {
  const Tensor t = Tensor::of<float>({2}, {1, 2});
  const Type type = Type::tensor(DType::Float32, Shape{Dim(2)});
  EXPECT_EQ(write_attribute("a", type).type(), onnx::AttributeProto::TYPE_PROTO);
  const onnx::AttributeProto types = write_attribute("a", std::vector<Type>{type, type});
  EXPECT_EQ(types.type(), onnx::AttributeProto::TYPE_PROTOS);
  EXPECT_EQ(types.type_protos_size(), 2);
  const onnx::AttributeProto tensors = write_attribute("a", std::vector<Tensor>{t, t, t});
  EXPECT_EQ(tensors.type(), onnx::AttributeProto::TENSORS);
  EXPECT_EQ(tensors.tensors_size(), 3);
  EXPECT_EQ(tensors.tensors(2).dims(0), 2);
}

// To an entry of the metadata that is there a line is added; all other bytes stay.
TEST(GraphChanges, AddToMetadata) {
  ModelMaker m = small_model();
  for (const char* key : {"told", "other"}) {
    auto* entry = m.model.add_metadata_props();
    entry->set_key(key);
    entry->set_value("before");
  }
  onnx::ModelProto model;
  GraphChanges changes;
  changes.metadata = {{"told", "now"}, {"new", "first"}};
  ASSERT_TRUE(model.ParseFromString(with_changes(m.bytes(), changes)));
  ASSERT_EQ(model.metadata_props_size(), 3);
  EXPECT_EQ(model.metadata_props(0).value(), "before\nnow");
  EXPECT_EQ(model.metadata_props(1).value(), "before");
  EXPECT_EQ(model.metadata_props(2).key(), "new");
  model.clear_metadata_props();
  ModelMaker plain = small_model();
  EXPECT_EQ(model.SerializeAsString(), plain.bytes());
}

}  // namespace
}  // namespace onnxrun
