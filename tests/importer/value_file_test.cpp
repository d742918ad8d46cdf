// Tensors and other values of .pb files, in every element type and every way of storing it.
#include <gtest/gtest.h>
#include <onnx/onnx-data_pb.h>

#include <cstring>

#include "base/error.h"
#include "support/model_maker.h"
#include "value_reader.h"
#include "value_writer.h"

namespace onnxrun {
namespace {

using onnx::TensorProto;

Tensor read(const TensorProto& proto) {
  return read_value_bytes(proto.SerializeAsString(), Type()).tensor;
}

TensorProto typed(DType dtype, const std::vector<int64_t>& dims) {
  TensorProto p;
  p.set_data_type(static_cast<int>(dtype));
  for (int64_t d : dims) p.add_dims(d);
  return p;
}

// What int32_data holds for three elements, and the bytes they are.
struct Int32Row {
  DType dtype;
  std::vector<int32_t> data;
  std::vector<uint8_t> bytes;
};

const Int32Row int32_rows[] = {
    {DType::Int32, {1, -2, 3}, {1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 3, 0, 0, 0}},
    {DType::Int16, {1, -2, 3}, {1, 0, 0xfe, 0xff, 3, 0}},
    {DType::UInt16, {1, 65534, 3}, {1, 0, 0xfe, 0xff, 3, 0}},
    {DType::Int8, {1, -2, 3}, {1, 0xfe, 3}},
    {DType::UInt8, {1, 254, 3}, {1, 0xfe, 3}},
    {DType::Bool, {1, 0, 1}, {1, 0, 1}},
    {DType::Float16, {0x3c00, 0xc000, 0}, {0, 0x3c, 0, 0xc0, 0, 0}},
    {DType::BFloat16, {0x3f80, 0xc000, 0}, {0x80, 0x3f, 0, 0xc0, 0, 0}},
    {DType::Float8E4M3FN, {0x38, 0xc0, 0}, {0x38, 0xc0, 0}},
    {DType::Float8E4M3FNUZ, {0x38, 0xc0, 0}, {0x38, 0xc0, 0}},
    {DType::Float8E5M2, {0x38, 0xc0, 0}, {0x38, 0xc0, 0}},
    {DType::Float8E5M2FNUZ, {0x38, 0xc0, 0}, {0x38, 0xc0, 0}},
    {DType::Float8E8M0, {0x7f, 0x80, 0}, {0x7f, 0x80, 0}},
    {DType::UInt4, {0x21, 0x03}, {0x21, 0x03}},
    {DType::Int4, {0xe1, 0x03}, {0xe1, 0x03}},
    {DType::Float4E2M1, {0x21, 0x03}, {0x21, 0x03}},
    {DType::Float6E2M3, {0x01, 0x3f, 0x0a}, {0xc1, 0xaf, 0x00}},
    {DType::Float6E3M2, {0x20, 0x11, 0x2b}, {0x60, 0xb4, 0x02}},
    {DType::UInt2, {0x39}, {0x39}},
    {DType::Int2, {0x39}, {0x39}},
};

TEST(ValueFile, Int32DataHoldsAllSmallTypes) {
  for (const Int32Row& row : int32_rows) {
    TensorProto p = typed(row.dtype, {3});
    for (int32_t v : row.data) p.add_int32_data(v);
    Tensor t = read(p);
    ASSERT_EQ(t.bytes(), static_cast<int64_t>(row.bytes.size())) << t.type_text();
    EXPECT_EQ(std::memcmp(t.raw(), row.bytes.data(), row.bytes.size()), 0) << t.type_text();

    TensorProto raw = typed(row.dtype, {3});
    raw.set_raw_data(row.bytes.data(), row.bytes.size());
    EXPECT_TRUE(identical(t, read(raw))) << t.type_text();
  }
}

TEST(ValueFile, OtherTypedFields) {
  TensorProto f = typed(DType::Float32, {2});
  f.add_float_data(1.5f);
  f.add_float_data(-2);
  EXPECT_EQ(to_doubles(read(f)), (std::vector<double>{1.5, -2}));
  TensorProto d = typed(DType::Float64, {1});
  d.add_double_data(0.1);
  EXPECT_EQ(to_doubles(read(d)), (std::vector<double>{0.1}));
  TensorProto i = typed(DType::Int64, {1});
  i.add_int64_data(INT64_MIN);
  EXPECT_EQ(to_int64s(read(i)), (std::vector<int64_t>{INT64_MIN}));
  TensorProto u = typed(DType::UInt64, {1});
  u.add_uint64_data(UINT64_MAX);
  EXPECT_EQ(read(u).data<uint64_t>()[0], UINT64_MAX);
  TensorProto u32 = typed(DType::UInt32, {1});
  u32.add_uint64_data(UINT32_MAX);
  EXPECT_EQ(read(u32).data<uint32_t>()[0], UINT32_MAX);
  u32.set_uint64_data(0, uint64_t{1} << 32);
  EXPECT_THROW(read(u32), Error);
  TensorProto c = typed(DType::Complex64, {1});
  c.add_float_data(1);
  EXPECT_THROW(read(c), Error);
  c.add_float_data(2);
  EXPECT_EQ(read(c).data<std::complex<float>>()[0], std::complex<float>(1, 2));
  TensorProto s = typed(DType::String, {});
  s.add_string_data(std::string("a\0b", 3));
  EXPECT_EQ(read(s).data<std::string>()[0], std::string("a\0b", 3));
}

TEST(ValueFile, AnyByteIsABool) {
  TensorProto p = typed(DType::Bool, {3});
  p.set_raw_data(std::string("\0\1\2", 3));
  EXPECT_EQ(to_doubles(read(p)), (std::vector<double>{0, 1, 1}));
}

TEST(ValueFile, EmptyAndScalarTensors) {
  EXPECT_EQ(read(typed(DType::Float32, {0, 3})).type_text(), "float[0,3]");
  TensorProto p = typed(DType::Int64, {});
  p.add_int64_data(4);
  EXPECT_EQ(read(p).type_text(), "int64[]");
}

bool same(const RuntimeValue& a, const RuntimeValue& b) {
  if (a.kind != b.kind) return false;
  if (a.tensor.defined() != b.tensor.defined()) return false;
  if (a.tensor.defined() && !identical(a.tensor, b.tensor)) return false;
  if (!a.items != !b.items || (a.items && a.items->size() != b.items->size())) return false;
  for (size_t i = 0; a.items && i < a.items->size(); ++i) {
    if (!same((*a.items)[i], (*b.items)[i])) return false;
  }
  return true;
}

TEST(ValueFile, WhatIsWrittenIsReadBack) {
  Type floats = Type::tensor(DType::Float32);
  RuntimeValue one = Tensor::of<float>({2}, {1, 2});
  RuntimeValue text = Tensor::of<std::string>({1, 2}, {"a", ""});
  RuntimeValue list = RuntimeValue::sequence({one, one});
  RuntimeValue map = RuntimeValue::map(Tensor::of<int64_t>({1}, {5}), {one});
  Type map_type = Type::map(DType::Int64, floats);
  struct Row {
    RuntimeValue value;
    Type type;
  };
  const Row rows[] = {
      {RuntimeValue::sequence({map, map}), Type::sequence(map_type)},
      {RuntimeValue::sequence({}), Type::sequence(map_type)},
      {RuntimeValue::optional({map}), Type::optional(map_type)},
      {RuntimeValue::sequence({RuntimeValue::optional({one})}),
       Type::sequence(Type::optional(floats))},
      {RuntimeValue::optional({RuntimeValue::optional({list})}),
       Type::optional(Type::optional(Type::sequence(floats)))},
      {RuntimeValue::optional({}), Type::optional(Type::sequence(floats))},
      {one, floats},
      {text, Type::tensor(DType::String)},
      {list, Type::sequence(floats)},
      {RuntimeValue::sequence({}), Type::sequence(floats)},
      {RuntimeValue::sequence({list}), Type::sequence(Type::sequence(floats))},
      {RuntimeValue::optional({one}), Type::optional(floats)},
      {RuntimeValue::optional({}), Type::optional(floats)},
      {RuntimeValue::optional({list}), Type::optional(Type::sequence(floats))},
      {RuntimeValue::map(Tensor::of<int64_t>({2}, {3, 4}), {one, one}),
       Type::map(DType::Int64, floats)},
      {RuntimeValue::map(Tensor::of<std::string>({1}, {"k"}), {one}),
       Type::map(DType::String, floats)},
  };
  for (const Row& row : rows) {
    std::string bytes = write_value_bytes(row.value, "name", row.type);
    EXPECT_TRUE(same(read_value_bytes(bytes, row.type), row.value)) << row.type.to_string();
    EXPECT_EQ(read_value_name(bytes, row.type), "name");
  }
  for (int d = 1; d < dtype_count; ++d) {
    auto dtype = static_cast<DType>(d);
    if (dtype == DType::String) continue;
    Tensor t(dtype, {5});
    std::memset(t.raw(), dtype == DType::Bool ? 1 : 0, static_cast<size_t>(t.bytes()));
    EXPECT_TRUE(identical(read_value_bytes(write_value_bytes(t), Type()).tensor, t)) << d;
  }
}

TEST(ValueFile, AnEmptySequenceOfNoKnownTypeIsOneOfTensors) {
  RuntimeValue empty = RuntimeValue::sequence({});
  Type tensors = Type::sequence(Type::tensor(DType::Float32));
  EXPECT_EQ(write_value_bytes(empty), write_value_bytes(empty, "", tensors));
}

TEST(ValueFile, DamageIsBadInput) {
  TempDir dir;
  dir.write("x.pb", "no protobuf");
  for (const char* name : {"x.pb", "none.pb"}) {
    try {
      read_value_file(dir.path(name), Type());
      ADD_FAILURE() << name;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::BadInput) << e.what();
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace onnxrun
