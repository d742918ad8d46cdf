// Which stored tensors become several, by what exporters leave in their files. What the frameworks
// make of real nets is tests/interop/test_unshare.py's.
#include "unshare.h"

#include <gtest/gtest.h>

#include "support/model_maker.h"

namespace onnxrun {
namespace {

std::string entry(const std::string& key, const std::string& value) {
  onnx::StringStringEntryProto e;
  e.set_key(key);
  e.set_value(value);
  return e.SerializeAsString();
}

// x -> Add(x, w) -> Add(., w) -> y, as PyTorch's default exporter marks nodes of two modules.
struct Marked {
  ModelMaker maker;
  onnx::NodeProto *first, *second;

  explicit Marked(const std::string& stored, int size = 2) {
    maker.model.set_producer_name("pytorch");
    maker.input("x", {"N"});
    maker.output("y");
    maker.initializer(stored, std::vector<float>(static_cast<size_t>(size), 1));
    first = &maker.node("Add", {"x", stored}, {"h"});
    second = &maker.node("Add", {"h", stored}, {"y"});
    add_unknown(maker.graph(), 16,
                entry("pkg.torch.export.ExportedProgram.graph_signature",
                      "p_a_w: PARAMETER target='a.w'\np_b_w: PARAMETER target='b.w'\n"));
  }
  static void mark(onnx::NodeProto& node, const std::string& scope, const std::string& call) {
    add_unknown(node, 9, entry("pkg.torch.onnx.name_scopes", "['', '" + scope + "', 'add']"));
    if (!call.empty()) {
      add_unknown(
          node, 9,
          entry("pkg.torch.onnx.fx_node", "%add : call(args = (%x, %" + call + "), kwargs = {})"));
    }
  }
  UnsharedFile run(Unshare mode = Unshare::Auto) const {
    return unshare_tensors(maker.import(), mode);
  }
};

std::vector<std::string> names(const UnsharedFile& file) {
  std::vector<std::string> list;
  for (const UnsharedTensor& t : file.added) list.push_back(t.name + "<" + t.from);
  return list;
}
using Names = std::vector<std::string>;

struct MarkRow {
  const char* name;
  const char* stored;                                 // the name that the file kept
  std::pair<const char*, const char*> first, second;  // scope and call of the two nodes
  int size;
  Unshare mode;
  Names added;
};

const MarkRow mark_rows[] = {
    {"merged", "a.w", {"a", "p_a_w"}, {"b", "p_b_w"}, 2, Unshare::Auto, {"b.w<a.w"}},
    {"merged, without calls", "a.w", {"a", ""}, {"b", ""}, 2, Unshare::Auto, {"b.w<a.w"}},
    {"tied: the last name", "b.w", {"a", ""}, {"b", ""}, 2, Unshare::Auto, {}},
    {"tied: calls name it", "b.w", {"a", "p_b_w"}, {"b", "p_b_w"}, 2, Unshare::Auto, {}},
    {"a module that is called twice", "a.w", {"a", "p_a_w"}, {"a", "p_a_w"}, 2, Unshare::Auto, {}},
    {"1,024 elements", "a.w", {"a", "p_a_w"}, {"b", "p_b_w"}, 1024, Unshare::Auto, {"b.w<a.w"}},
    {"more", "a.w", {"a", "p_a_w"}, {"b", "p_b_w"}, 1025, Unshare::Auto, {}},
    {"never", "a.w", {"a", "p_a_w"}, {"b", "p_b_w"}, 2, Unshare::Never, {}},
    {"always, tied", "b.w", {"a", "p_b_w"}, {"b", "p_b_w"}, 2, Unshare::Always, {"b.w/a<b.w"}},
    {"always, more", "a.w", {"a", ""}, {"b", ""}, 1025, Unshare::Always, {"a.w/b<a.w"}},
    {"a scope that the signature does not have", "a.w", {"a", ""}, {"c", ""}, 2, Unshare::Auto, {}},
};

TEST(Unshare, GoesByThePlacesThatTheDefaultExporterMarks) {
  for (const MarkRow& row : mark_rows) {
    SCOPED_TRACE(row.name);
    Marked model(row.stored, row.size);
    Marked::mark(*model.first, row.first.first, row.first.second);
    Marked::mark(*model.second, row.second.first, row.second.second);
    UnsharedFile file = model.run(row.mode);
    EXPECT_EQ(names(file), row.added);
    EXPECT_EQ(file.bytes.empty(), row.added.empty());
  }
}

TEST(Unshare, ChangesNothingElse) {
  Marked model("a.w");
  Marked::mark(*model.first, "a", "p_a_w");
  Marked::mark(*model.second, "b", "p_b_w");
  onnx::ModelProto after;
  ASSERT_TRUE(after.ParseFromString(model.run().bytes));
  EXPECT_EQ(after.metadata_props(0).key(), "onnxrun.unshared");
  EXPECT_EQ(after.metadata_props(0).value(), "b.w from a.w");
  ASSERT_EQ(after.graph().initializer_size(), 2);
  EXPECT_EQ(after.graph().initializer(1).raw_data(), after.graph().initializer(0).raw_data());
  after.clear_metadata_props();
  after.mutable_graph()->mutable_initializer()->RemoveLast();
  EXPECT_EQ(after.graph().node(1).input(1), "b.w");
  after.mutable_graph()->mutable_node(1)->set_input(1, "a.w");
  EXPECT_EQ(after.SerializeAsString(), model.maker.bytes());
}

// What the legacy exporter writes for two merged tensors.
ModelMaker merged_by_identity() {
  ModelMaker m;
  m.model.set_producer_name("pytorch");
  m.input("x", {"2"});
  m.output("y");
  m.initializer("a.w", {1, 1});
  m.node("Identity", {"a.w"}, {"b.w"}).set_name("Identity_0");
  m.node("Add", {"x", "a.w"}, {"h"});
  m.node("Add", {"h", "b.w"}, {"y"});
  return m;
}

TEST(Unshare, TakesTheIdentitiesOfTheLegacyExporterForTensors) {
  UnsharedFile file = unshare_tensors(merged_by_identity().import(), Unshare::Auto);
  EXPECT_EQ(names(file), Names{"b.w<a.w"});
  Graph after = import_model_bytes(file.bytes, "", maker_registry());
  EXPECT_EQ(after.nodes.size(), 2u);
  EXPECT_EQ(after.initializers.count(after.find("b.w")), 1u);
  EXPECT_TRUE(unshare_tensors(after, Unshare::Auto).bytes.empty());
}

TEST(Unshare, LeavesIdentitiesThatAreNoSignOfAMerge) {
  ModelMaker other = merged_by_identity();
  other.model.set_producer_name("tf2onnx");
  ModelMaker named = merged_by_identity();
  named.graph().mutable_node(0)->set_name("/id/Identity");
  ModelMaker output = merged_by_identity();
  output.output("b.w");
  for (const ModelMaker* m : {&other, &named, &output}) {
    EXPECT_TRUE(unshare_tensors(m->import(), Unshare::Auto).bytes.empty());
  }
}

TEST(Unshare, LeavesWhatBodiesRead) {
  ModelMaker m = merged_by_identity();
  m.input("c", {}, onnx::TensorProto::BOOL);
  m.output("z");
  onnx::NodeProto& branch = m.node("If", {"c"}, {"z"});
  for (const char* name : {"then_branch", "else_branch"}) {
    onnx::GraphProto& body = ModelMaker::body(branch, name);
    ModelMaker::add_node(*body.mutable_node(), "Identity", {"b.w"}, {std::string(name) + "_out"});
    body.add_output()->set_name(std::string(name) + "_out");
  }
  EXPECT_TRUE(unshare_tensors(m.import(), Unshare::Auto).bytes.empty());
}

TEST(Unshare, AddsInputsWhereTheFormatWantsThem) {
  ModelMaker m = merged_by_identity();
  m.model.set_ir_version(3);
  m.input("a.w", {"2"});
  onnx::ModelProto after;
  ASSERT_TRUE(after.ParseFromString(unshare_tensors(m.import(), Unshare::Auto).bytes));
  EXPECT_EQ(after.graph().input(after.graph().input_size() - 1).name(), "b.w");
}

TEST(Unshare, RestoresBiasesThatWereZeros) {
  // Of another operator than the maker's, so it is left as it is: a bias needs a known length.
  Marked model("a.w");
  Marked::mark(*model.first, "a", "p_a_w, %p_b_w");
  add_unknown(*model.first, 9, entry("pkg.onnxscript.rewriter.rule_name", "RemoveOptionalBias"));
  EXPECT_TRUE(model.run().bytes.empty());
}

}  // namespace
}  // namespace onnxrun
