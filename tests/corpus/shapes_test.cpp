// Shape inference over the corpus: no dimension stays unknown that the standard's rules determine.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "graph/graph.h"
#include "onnxrun/model.h"
#include "support/corpus.h"

namespace onnxrun::testing {

namespace {

// Values whose lengths nothing but running the model tells.
const std::map<std::string, std::set<std::string>>& undetermined() {
  static const std::map<std::string, std::set<std::string>> values = {
      // Slices from one element of the data to the next.
      {"embbag_sum_leg", {"/bag/Gather_4_output_0", "/bag/Slice_1_output_0"}},
      // What a loop stacks that ends by a condition it computes; and the last element of that.
      {"k_embed_mask_lstm",
       {"sequential_8_1/lstm_4_1/while_loop:8", "sequential_8_1/lstm_4_1/strided_slice_5:0"}},
      {"k_gru_loop",
       {"sequential_4_1/gru_1/while_loop:5", "sequential_4_1/gru_1/strided_slice_3:0"}},
      // Padded by amounts that go through a matrix.
      {"misc_ops_leg", {"108", "83"}},
      // Carried values that a loop concatenates something to.
      {"s1_rnn_sigmoid_script_loop", {"/Concat_2_output_0", "sum", "y.11"}},
      {"seq2seq_script_leg", {"/Concat_3_output_0", "logits", "outs.11"}},
      // A batch without a name in the file.
      {"skl_forest", {"X", "label", "probabilities", "variable"}},
      {"skl_logreg", {"X", "label", "probabilities", "variable", "probability_tensor"}},
  };
  return values;
}

bool has_unknown(const Type& type) {
  if (!type.is_tensor()) return !type.element || has_unknown(*type.element);
  if (!type.shape) return true;
  return std::any_of(type.shape->begin(), type.shape->end(),
                     [](const Dim& d) { return d.is_unknown(); });
}

void collect(const Graph& graph, std::map<std::string, std::string>& unknown) {
  auto look_at = [&](ValueId v) {
    if (v != no_value && has_unknown(graph.value(v).type)) {
      unknown.emplace(graph.name_of(v), graph.value(v).type.to_string());
    }
  };
  for (ValueId v : graph.inputs) look_at(v);
  for (const Node& node : graph.nodes) {
    for (ValueId v : node.outputs) look_at(v);
    for (const Graph& body : node.bodies) collect(body, unknown);
  }
}

std::optional<Model> load(const std::string& path) {
  try {
    return Model::load(path);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::Unsupported) throw;
    return std::nullopt;
  }
}

class Shapes : public ::testing::TestWithParam<std::string> {};

TEST_P(Shapes, AreKnownWhereTheRulesTell) {
  std::optional<Model> model = load(CorpusCase(GetParam()).model_path());
  if (!model) GTEST_SKIP() << "an operator is not there";
  std::map<std::string, std::string> unknown;
  collect(model->graph(), unknown);
  auto it = undetermined().find(GetParam());
  std::set<std::string> expected =
      it == undetermined().end() ? std::set<std::string>() : it->second;
  for (const auto& [name, type] : unknown) {
    EXPECT_TRUE(expected.count(name)) << name << " is " << type;
  }
  for (const std::string& name : expected) {
    EXPECT_TRUE(unknown.count(name)) << name << " is known, take it off the list";
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Shapes, ::testing::ValuesIn(all_cases()),
                         [](const auto& model) { return model.param; });

}  // namespace

}  // namespace onnxrun::testing
