// What operators take here and not in the standard.
#include "own_types.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "builtin_ops.h"
#include "support/files.h"

namespace onnxrun {
namespace {

// The standard's own table says the same.
TEST(OwnTypes, AreWhatTheStandardDoesNotHave) {
  std::ifstream stream(testing::source_path("tests/data/standard_operators.json"));
  int found = 0;
  for (const auto& op : nlohmann::json::parse(stream)) {
    const OpInfo* info =
        builtin_ops().find(op["domain"].get<std::string>(), op["name"].get<std::string>());
    if (!info) continue;
    for (const TypeConstraint& c : info->spec.types) {
      const auto types = op["types"].find(std::string(c.name));
      if (types == op["types"].end()) continue;
      auto has = [&](const char* type) {
        return std::find(types->begin(), types->end(), type) != types->end();
      };
      const bool own = has("tensor(float)") && !has("tensor(double)") &&
                       c.tensor.contains(DType::Float32) && c.tensor.contains(DType::Float64);
      EXPECT_EQ(is_own_type(info->spec, c.name, DType::Float64), own)
          << info->qualified_name() << " " << c.name;
      found += own;
    }
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace onnxrun
