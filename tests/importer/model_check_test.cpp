// All findings of a model in one pass, and what is a warning or a note only.
#include "model_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "support/model_maker.h"

namespace onnxrun {
namespace {

// "error invalid: Add node 'add' : ..."
std::vector<std::string> lines_of(const ModelMaker& m) {
  TempDir dir;
  dir.write("m.onnx", m.bytes());
  std::vector<std::string> lines;
  for (const Finding& f : check_model(dir.path("m.onnx"), maker_registry()).findings) {
    lines.push_back(std::string(to_string(f.severity)) + " " + f.rule + ": " + f.error.what());
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// A small model with names and shapes as the standard wants them.
ModelMaker clean_model() {
  ModelMaker m = small_model();
  m.graph().set_name("g");
  auto* type = m.graph().mutable_output(0)->mutable_type()->mutable_tensor_type();
  type->set_elem_type(1);
  type->mutable_shape()->add_dim();
  type->mutable_shape()->add_dim()->set_dim_value(2);
  return m;
}

struct ModelCheckRow {
  const char* name;
  std::function<void(ModelMaker&)> change;  // of clean_model(): x + w -> y
  std::vector<std::string> lines;           // beginnings of all lines
};

void add_if(ModelMaker& m, const std::string& op, const std::string& reads,
            const std::string& writes) {
  auto& node = m.node("If", {"x"}, {"z"});
  node.set_name("if");
  for (const char* name : {"then_branch", "else_branch"}) {
    auto& body = ModelMaker::body(node, name);
    body.set_name("b");
    ModelMaker::add_node(*body.mutable_node(), op, {reads}, {writes});
    body.add_output()->set_name(writes);
  }
  *m.graph().add_output() = m.graph().output(0);
  m.graph().mutable_output(1)->set_name("z");
  m.graph()
      .mutable_output(1)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim()
      ->RemoveLast();
}

const ModelCheckRow model_check_rows[] = {
    {"clean", [](ModelMaker&) {}, {}},
    {"two operators that are not there, and what follows from them is left out",
     [](ModelMaker& m) {
       m.graph().mutable_node(0)->set_op_type("Nope");
       m.node("Add", {"y", "w"}, {"a"});
       m.node("Nope", {"a"}, {"b"});
       m.graph().mutable_output(0)->set_name("b");
     },
     {"error unsupported: Nope node 'add' : ", "error unsupported: Nope node 'b' : "}},
    {"all inputs that are missing, of operators that are not there, too",
     [](ModelMaker& m) {
       m.graph().mutable_node(0)->set_input(0, "p");
       m.graph().mutable_node(0)->set_input(1, "q");
       m.node("Nope", {"y", "r", "x", "w"}, {"z"});
       m.graph().mutable_output(0)->set_name("z");
       m.graph().mutable_output(0)->clear_type();
     },
     {"warning no-shape: 'z'", "error invalid: Add node 'add' : nothing produces 'p'",
      "error invalid: Add node 'add' : nothing produces 'q'", "error unsupported: Nope node 'z'",
      "error invalid: Nope node 'z' : nothing produces 'r'"}},
    {"attributes of a node whose inputs are not known",
     [](ModelMaker& m) {
       m.graph().mutable_node(0)->set_op_type("Nope");
       ModelMaker::attribute(m.node("Relu", {"y"}, {"z"}), "foo", onnx::AttributeProto::INT);
       m.graph().mutable_output(0)->set_name("z");
     },
     {"error unsupported: Nope node 'add'", "error unsupported: Relu node 'z' : attribute 'foo'"}},
    {"nodes of a body, with the node around",
     [](ModelMaker& m) { add_if(m, "Nope", "gone", "t"); },
     {"error unsupported: If node 'if' : Nope node 't'",
      "error invalid: If node 'if' : Nope node 't' : nothing produces 'gone'"}},
    {"an opset that is too new is one finding",
     [](ModelMaker& m) {
       m.model.mutable_opset_import(0)->set_version(99);
       m.node("Nope", {"y"}, {"z"});
       m.graph().mutable_output(0)->set_name("z");
     },
     {"error unsupported: opset 99 of 'ai.onnx'", "error unsupported: Nope node 'z'"}},
    {"an operator before its opset",
     [](ModelMaker& m) {
       m.model.mutable_opset_import(0)->set_version(19);
       m.graph().mutable_node(0)->set_op_type("Late");
     },
     {"warning before-its-opset: Late node 'add' : opset 19 is imported, the operator is known "
      "since opset 20"}},
    {"a declared shape that is not the one that comes out",
     [](ModelMaker& m) {
       m.graph()
           .mutable_output(0)
           ->mutable_type()
           ->mutable_tensor_type()
           ->mutable_shape()
           ->mutable_dim(1)
           ->set_dim_value(5);
     },
     {"warning declared-shape: value 'y' is float[N,2], but is declared float[?,5]"}},
    {"what nothing needs",
     [](ModelMaker& m) {
       m.node("Relu", {"y"}, {"dead"}).set_name("r");
       m.initializer("v", {1});
       m.input("u", {"2"});
     },
     {"warning unused-node: Relu node 'r'", "warning unused-input: no output depends on input 'u'",
      "warning unused-initializer: no output depends on initializer 'v'"}},
    {"a body reads a value, which is then needed",
     [](ModelMaker& m) {
       m.initializer("v", {1, 2});
       add_if(m, "Relu", "v", "t");
     },
     {}},
    {"a name of the graph around",
     [](ModelMaker& m) { add_if(m, "Relu", "w", "y"); },
     {"warning shadowed-name: If node 'if' : value 'y'"}},
    {"no names",
     [](ModelMaker& m) {
       m.graph().clear_name();
       m.node("Relu", {"y"}, {"z"}).set_name("add");
       m.graph().mutable_output(0)->set_name("z");
     },
     {"warning no-graph-name: ", "warning duplicate-node-name: Relu node 'add'"}},
    {"value_info of nothing",
     [](ModelMaker& m) { m.graph().add_value_info()->set_name("ghost"); },
     {"note unknown-value-info: value_info describes 'ghost'"}},
    {"an initializer that old files list as an input",
     [](ModelMaker& m) { m.model.set_ir_version(3); },
     {"warning initializer-not-input: initializer 'w' is not listed as an input: found IR version "
      "3, expected 4"}},
    {"nodes out of order, an output listed twice, a length of -1",
     [](ModelMaker& m) {
       m.graph().mutable_node(0)->set_input(0, "later");
       m.node("Relu", {"x"}, {"later"}).set_name("relu");
       *m.graph().add_output() = m.graph().output(0);
       auto* type = m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type();
       type->mutable_shape()->mutable_dim(0)->set_dim_value(-1);
     },
     {"warning node-order: nodes do not stand in topological order: 'later' comes after",
      "warning output-listed-twice: graph output 'y'"}},
    {"a function that nothing calls",
     [](ModelMaker& m) {
       ModelMaker::add_node(*m.function("F", {"a"}, {"b"}).mutable_node(), "Nope", {"a"}, {"b"});
     },
     {"note unused-function: function 'F'"}},
};

TEST(ModelCheck, FindsAllInOnePass) {
  for (const ModelCheckRow& row : model_check_rows) {
    ModelMaker m = clean_model();
    row.change(m);
    std::vector<std::string> lines = lines_of(m);
    bool same = lines.size() == row.lines.size();
    for (size_t k = 0; same && k < lines.size(); ++k) same = lines[k].starts_with(row.lines[k]);
    EXPECT_TRUE(same) << row.name << "\n" << joined(lines);
  }
}

// What a message says that it found and wants are fields, too.
TEST(ModelCheck, FoundAndExpectedAreFields) {
  struct Sentence {
    const char *text, *found, *expected;
  };
  for (const Sentence& s : std::vector<Sentence>{
           {"attribute 'axis' is 7, expected -2 to 1", "7", "-2 to 1"},
           {"attribute 'pads' has 3 elements, expected 4", "3 elements", "4"},
           {"3 inputs, expected two", "3 inputs", "two"},
           {"input 'X' ('x') is int64, allowed: float, double", "int64", "float, double"},
           {"IR version 99, known are 1 to 13", "IR version 99", "1 to 13"},
           {"opset 99 of 'ai.onnx' is imported, the newest known is 28", "opset 99 of 'ai.onnx'",
            "28"},
           {"value 'y' is declared int64, but is float[2]", "float[2]", "int64"},
           {"value 'y' is float[N,2], but is declared float[?,5]", "float[N,2]", "float[?,5]"},
           {"raw_data has 3 bytes, type and shape need 4", "3 bytes", "4"},
           {"nothing produces 'p'", "", ""},
       }) {
    Findings findings;
    findings.note(Error(ErrorKind::BadModel, s.text));
    ASSERT_EQ(findings.count(), 1u);
    EXPECT_EQ(findings.all()[0].found, s.found) << s.text;
    EXPECT_EQ(findings.all()[0].expected, s.expected) << s.text;
  }
}

// The same mistake in a function is one finding, however often it is called.
TEST(ModelCheck, FunctionsAreFoundOnce) {
  ModelMaker m = clean_model();
  auto* import = m.model.add_opset_import();
  import->set_domain("my");
  import->set_version(1);
  ModelMaker::add_node(*m.function("F", {"a"}, {"b"}).mutable_node(), "Nope", {"a"}, {"b"});
  m.node("F", {"y"}, {"z"}).set_domain("my");
  m.node("F", {"z"}, {"v"}).set_domain("my");
  m.graph().mutable_output(0)->set_name("v");
  std::vector<std::string> lines = lines_of(m);
  ASSERT_EQ(lines.size(), 1u) << joined(lines);
  EXPECT_TRUE(lines[0].starts_with("error unsupported: function 'my.F' : Nope node 'b'"))
      << lines[0];
}

// A file may be wrong everywhere.
TEST(ModelCheck, FindingsAreBounded) {
  ModelMaker m = clean_model();
  for (int i = 0; i < 12'000; ++i) m.node("Nope", {"x"}, {"n" + std::to_string(i)});
  EXPECT_LE(lines_of(m).size(), 10'001u);
}

}  // namespace
}  // namespace onnxrun
