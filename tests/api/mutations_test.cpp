// Damaged models end in a result or an error that says what is wrong; never in a crash, a hang or
// an error of our own.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "graph/graph.h"
#include "onnxrun/onnxrun.h"
#include "support/corpus.h"
#include "support/thinning.h"

namespace onnxrun::testing {

namespace {

constexpr int64_t most_memory = int64_t{1} << 26;

std::string read(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The stored models that are small, so that a change mostly hits structure.
std::vector<std::string> valid_models() {
  std::vector<std::string> models;
  for (const std::string& name : all_cases()) {
    std::string bytes = read(CorpusCase(name).model_path());
    if (bytes.size() < 40'000) models.push_back(std::move(bytes));
  }
  return models;
}

// A few changes: bytes, runs of bytes put in, taken out or copied, numbers that are lengths or
// types, an early end.
std::string damaged(std::string bytes, std::mt19937& random) {
  auto place = [&] { return random() % bytes.size(); };
  const auto changes = 1 + random() % 4;
  for (unsigned i = 0; i < changes && bytes.size() > 16; ++i) {
    const size_t at = place(), length = std::min<size_t>(1 + random() % 12, bytes.size() - at);
    switch (random() % 7) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        bytes.insert(at, bytes.substr(place(), length));
        break;
      case 4:
        bytes.replace(at, length, std::string(length, '\xff'));
        break;
      case 5:
        bytes[at] = static_cast<char>(random() % 24);
        break;
      default:
        if (random() % 4 == 0) bytes.resize(at + 8 < bytes.size() ? at + 8 : bytes.size());
    }
  }
  return bytes;
}

// A value of the declared type, 2 for lengths that are open; none for what is no tensor.
std::optional<Tensor> fitting(const Type& type) {
  if (!type.is_tensor() || type.dtype == DType::Undefined || type.rank() > 6) return std::nullopt;
  Dims dims;
  for (int64_t i = 0; i < type.rank(); ++i) {
    const Dim& d = (*type.shape)[static_cast<size_t>(i)];
    dims.push_back(d.is_known() ? d.value() : 2);
    if (dims.back() < 0 || dims.back() > 1000) return std::nullopt;
  }
  int64_t count = 1;
  for (int64_t d : dims) count *= d;
  if (count > 100'000) return std::nullopt;
  Tensor t(type.dtype, dims);
  if (type.dtype != DType::String) std::fill_n(t.raw(), t.bytes(), std::byte{1});
  return t;
}

void run(const Model& model) {
  NamedValues inputs;
  for (ValueId v : model.graph().inputs) {
    const Value& input = model.graph().value(v);
    auto tensor = fitting(input.type);
    if (!tensor) return;
    inputs.emplace_back(input.name, *tensor);
  }
  Session session(model,
                  {.max_memory = most_memory, .max_loop_iterations = 1000, .timeout_seconds = 2.0});
  session.run(inputs);
}

enum class End { Ran, Refused, Failed };

End outcome(const std::string& bytes, std::string& text) {
  bool loaded = false;
  try {
    const Model model = Model::from_bytes(bytes, {.max_memory = most_memory});
    loaded = true;
    run(model);
    return End::Ran;
  } catch (const Error& e) {
    text = e.what();
    if (e.kind() == ErrorKind::Internal || text.find('\n') != std::string::npos) return End::Failed;
    return loaded ? End::Ran : End::Refused;
  } catch (const std::exception& e) {
    text = e.what();
    return End::Failed;
  }
}

TEST(Mutations, EndInAResultOrAnError) {
  const std::vector<std::string> models = valid_models();
  ASSERT_GE(models.size(), 8u);
  size_t loaded = 0, refused = 0;
  for (uint32_t seed = 0; seed < 10'000; seed += thinning) {
    std::mt19937 random(seed);
    std::string text;
    const End end = outcome(damaged(models[seed % models.size()], random), text);
    EXPECT_NE(end, End::Failed) << "seed " << seed << ": " << text;
    ++(end == End::Ran ? loaded : refused);
  }
  // Both ways are tried.
  EXPECT_GT(loaded, 1000u / thinning);
  EXPECT_GT(refused, 1000u / thinning);
}

}  // namespace

}  // namespace onnxrun::testing
