// The wire form of protobuf messages, field by field.
#include "wire.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace onnxrun::wire {
namespace {

using namespace std::string_literals;

// Field 1 of every type: a varint, 8 bytes, text, a group that holds another one, 4 bytes.
const std::string whole =
    "\x08\x96\x01"
    "\x09"
    "12345678"
    "\x0a\x03"
    "abc"
    "\x0b\x10\x05\x13\x14\x0c"
    "\x0d"
    "1234"s;

TEST(Wire, EveryTypeGoesThroughUnchanged) {
  Reader reader(whole);
  std::string copy;
  std::vector<Type> types;
  while (auto field = reader.next()) {
    EXPECT_EQ(field->number, 1);
    types.push_back(field->type);
    append_field(copy, *field, field->content);
  }
  EXPECT_EQ(copy, whole);
  EXPECT_EQ(types,
            (std::vector{Type::Varint, Type::Fixed64, Type::Bytes, Type::Group, Type::Fixed32}));
}

TEST(Wire, AnotherContentHasItsOwnLength) {
  Reader reader(
      "\x0a\x03"
      "abc");
  auto field = reader.next();
  std::string changed;
  append_field(changed, *field, std::string(200, 'x'));
  EXPECT_EQ(changed, "\x0a\xc8\x01"s + std::string(200, 'x'));
}

std::string nested_groups(int depth) {
  return std::string(static_cast<size_t>(depth), '\x0b') +
         std::string(static_cast<size_t>(depth), '\x0c');
}

TEST(Wire, DamageIsAnError) {
  EXPECT_NO_THROW(Reader(nested_groups(50)).next());
  for (const std::string& bytes : {
           "\x08"s,                            // a varint without bytes
           "\x08"s + std::string(11, '\xff'),  // one that does not end
           "\x09"s + "1234567",                // 7 of 8 bytes
           "\x0d"s + "123",                    // 3 of 4
           "\x0a\x05"s + "abc",                // text of 5 that has 3
           "\x0b\x10\x05"s,                    // a group without an end
           "\x0b\x14"s,                        // one that ends as another
           "\x0c"s,                            // an end without a group
           "\x0e"s,                            // no type
           nested_groups(1000),
       }) {
    EXPECT_THROW(Reader(bytes).next(), Error) << ::testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace onnxrun::wire
