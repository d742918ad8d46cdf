#include <map>

#include "base/error.h"
#include "builtin_ops.h"
#include "command.h"
#include "exit_code.h"
#include "formats/json.h"
#include "graph/registry.h"
#include "graph_view.h"
#include "messages.h"
#include "model_loading.h"
#include "model_operators.h"

namespace onnxrun::tool {

namespace {

std::string_view gradient_name(const OpSpec& spec) {
  switch (spec.gradient) {
    case GradientState::Rule:
      return "rule";
    case GradientState::Decompose:
      return "decomposed";
    case GradientState::NotDifferentiable:
      return "none: not differentiable";
  }
  return "";
}

std::string domain_name(std::string_view domain) {
  return domain.empty() ? "ai.onnx" : std::string(domain);
}

int newest_opset(std::string_view domain) {
  if (domain.empty()) return current_opset;
  return domain == "ai.onnx.ml" ? current_ml_opset : 1;
}

std::vector<std::string> type_names(const TypeConstraint& constraint) {
  std::vector<std::string> names;
  auto add = [&](const char* format, DTypeSet set) {
    for (int t = 1; t < dtype_count; ++t) {
      auto dtype = static_cast<DType>(t);
      if (set.contains(dtype)) names.push_back(fmt::format(fmt::runtime(format), to_string(dtype)));
    }
  };
  add("{}", constraint.tensor);
  add("seq({})", constraint.sequence);
  add("optional({})", constraint.optional);
  if (constraint.map) names.emplace_back("map");
  return names;
}

std::string types_text(const OpSpec& spec) {
  std::string text;
  for (const TypeConstraint& c : spec.types) {
    std::string names;
    for (const std::string& n : type_names(c)) names += (names.empty() ? "" : " ") + n;
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", c.name, names);
  }
  return text;
}

class Ops final : public Command {
 public:
  Ops() : Command({}) {}

  void declare(Options& options) override {
    options.add("--missing", model_, "what a model needs and this build does not have")
        .type_name("MODEL");
  }

  int execute() override {
    if (!model_.empty()) return report_missing();
    if (common_.json) {
      print_json();
    } else {
      print_table();
    }
    return exit_ok;
  }

 private:
  static void print_table() {
    std::vector<std::vector<std::string>> rows = {
        {"operator", "domain", "opsets", "gradient", "types"}};
    for (const OpInfo* info : builtin_ops().all()) {
      const OpSpec& s = info->spec;
      std::string opsets =
          s.since.empty() ? "" : fmt::format("{}-{}", s.since.front(), newest_opset(s.domain));
      if (s.domain == private_domain) opsets = "private";
      rows.push_back({std::string(s.name), domain_name(s.domain), opsets,
                      std::string(gradient_name(s)), types_text(s)});
    }
    print(table(rows));
    print_counts();
  }

  static void print_counts() {
    struct Count {
      int all = 0, with_gradient = 0;
    };
    std::map<std::string, Count> counts;
    for (const OpInfo* info : builtin_ops().all()) {
      if (info->spec.domain == private_domain) continue;
      Count& count = counts[domain_name(info->spec.domain)];
      ++count.all;
      if (info->spec.gradient != GradientState::NotDifferentiable) ++count.with_gradient;
    }
    std::string line;
    for (const auto& [domain, count] : counts) {
      line += fmt::format("{}{} {} ({} with a gradient)", line.empty() ? "" : ", ", domain,
                          count.all, count.with_gradient);
    }
    print(line + "\n");
  }

  static void print_json() {
    Json list = Json::array();
    for (const OpInfo* info : builtin_ops().all()) {
      const OpSpec& s = info->spec;
      Json types = Json::object();
      for (const TypeConstraint& c : s.types) types[std::string(c.name)] = type_names(c);
      list.push_back(
          {{"name", s.name},
           {"domain", domain_name(s.domain)},
           {"doc", s.doc},
           {"since", std::vector<int64_t>(s.since.begin(), s.since.end())},
           {"newest_opset", newest_opset(s.domain)},
           {"types", types},
           {"gradient", s.gradient == GradientState::NotDifferentiable ? "not_differentiable"
                                                                       : gradient_name(s)},
           {"decomposes", s.decomposes}});
    }
    print(Json{{"schema", "onnxrun.ops/1"}, {"operators", list}}.text());
  }

  // Why a use cannot be served; empty if it can.
  static std::string obstacle(const OperatorUse& use) {
    if (use.opset == 0) return "the file imports no opset of its domain";
    bool known_domain =
        use.domain.empty() || use.domain == "ai.onnx.ml" || use.domain == private_domain;
    if (known_domain && use.opset > newest_opset(use.domain)) {
      return fmt::format("opset {} is newer than {}", use.opset, newest_opset(use.domain));
    }
    // One that its opset did not have yet is read as it was first.
    if (!builtin_ops().find(use.domain, use.name)) return "not here";
    return "";
  }

  std::vector<OperatorUse> uses() {
    try {
      return model_ == "-" ? operators_of_bytes(read_standard_input(model_)) : operators_of(model_);
    } catch (const Error& e) {
      throw e.in_file(model_);
    }
  }

  int report_missing() {
    Json list = Json::array();
    std::vector<std::vector<std::string>> rows;
    for (const OperatorUse& use : uses()) {
      // Constants become initializers.
      if (use.domain.empty() && use.name == "Constant") continue;
      std::string why = obstacle(use);
      if (why.empty()) continue;
      list.push_back({{"name", use.name},
                      {"domain", domain_name(use.domain)},
                      {"opset", use.opset},
                      {"nodes", use.count},
                      {"reason", why}});
      rows.push_back({use.name, domain_name(use.domain), fmt::format("opset {}", use.opset),
                      fmt::format("{} nodes", use.count), why});
    }
    bool nothing = rows.empty();
    if (common_.json) {
      print(Json{{"schema", "onnxrun.ops/1"}, {"file", model_}, {"missing", list}}.text());
    } else {
      print(nothing ? "nothing is missing\n" : table(rows));
    }
    return nothing ? exit_ok : exit_unsupported;
  }

  std::string model_;
};

}  // namespace

const CommandInfo ops_command = {"ops", "the operators there are, or those a model lacks",
                                 "  onnxrun ops\n"
                                 "  onnxrun ops --json\n"
                                 "  onnxrun ops --missing model.onnx",
                                 make_command<Ops>};

}  // namespace onnxrun::tool
