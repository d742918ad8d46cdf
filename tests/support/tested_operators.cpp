#include "support/tested_operators.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace onnxrun::testing {

namespace {

constexpr const char* words[] = {"run", "gradient", "decomposition"};

TriedOperators& tried() {
  static TriedOperators operators;
  return operators;
}

class Recorder final : public ::testing::Environment {
  void TearDown() override {
    const char* path = std::getenv("ONNXRUN_TESTED_OPERATORS");
    if (!path) return;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream file(path);
    for (const auto& [what, op] : tried())
      file << words[static_cast<int>(what)] << ' ' << op << '\n';
  }
};

[[maybe_unused]] ::testing::Environment* const recorder =
    ::testing::AddGlobalTestEnvironment(new Recorder);

}  // namespace

void record(Tried what, const std::string& op) { tried().emplace(what, op); }

void record(Tried what, const Graph& graph, const std::function<bool(const Node&)>& which) {
  for (const Node& node : graph.nodes) {
    if (which(node)) record(what, node.info->qualified_name());
    for (const Graph& body : node.bodies) record(what, body, which);
  }
}

TriedOperators read_tried(const std::string& folder) {
  TriedOperators operators;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path());
    for (std::string word, op; file >> word >> op;) {
      for (Tried what : {Tried::Run, Tried::Gradient, Tried::Decomposition}) {
        if (word == words[static_cast<int>(what)]) operators.emplace(what, op);
      }
    }
  }
  return operators;
}

}  // namespace onnxrun::testing
