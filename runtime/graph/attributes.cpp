#include "graph/attributes.h"

#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "graph/op.h"

namespace onnxrun {

namespace {

constexpr std::string_view kind_names[] = {"int",  "float",  "string",  "tensor",  "type",
                                           "ints", "floats", "strings", "tensors", "types"};

struct ToText {
  std::string operator()(int64_t v) const { return std::to_string(v); }
  std::string operator()(float v) const { return fmt::format("{}", v); }
  std::string operator()(const std::string& v) const { return fmt::format("'{}'", v); }
  std::string operator()(const Tensor& v) const { return v.type_text(); }
  std::string operator()(const Type& v) const { return v.to_string(); }
  template <typename T>
  std::string operator()(const std::vector<T>& list) const {
    std::string text = "[";
    for (size_t i = 0; i < list.size(); ++i) text += (i ? "," : "") + (*this)(list[i]);
    return text + "]";
  }
};

struct Equal {
  template <typename A, typename B>
  bool operator()(const A&, const B&) const {
    return false;
  }
  bool operator()(float a, float b) const {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
  }
  bool operator()(int64_t a, int64_t b) const { return a == b; }
  bool operator()(const std::string& a, const std::string& b) const { return a == b; }
  bool operator()(const Tensor& a, const Tensor& b) const { return identical(a, b); }
  bool operator()(const Type& a, const Type& b) const { return a.to_string() == b.to_string(); }
  template <typename T>
  bool operator()(const std::vector<T>& a, const std::vector<T>& b) const {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (!(*this)(a[i], b[i])) return false;
    }
    return true;
  }
};

class Reader final : public AttributeVisitor {
 public:
  explicit Reader(const Attributes& from) : from_(from) {}

  void finish() const {
    for (const auto& [name, value] : from_) {
      if (!read_.count(name)) fail(ErrorKind::Unsupported, "attribute '{}' is not known", name);
    }
  }

 private:
  void attribute(std::string_view name, std::optional<AttributeValue>& value, size_t alternative,
                 std::string_view, bool required) override {
    auto it = from_.find(name);
    if (it == from_.end()) {
      if (required) fail(ErrorKind::BadModel, "required attribute '{}' is missing", name);
      return;
    }
    read_.insert(it->first);
    if (it->second.index() != alternative) {
      fail(ErrorKind::BadModel, "attribute '{}' is of kind {}, expected {}", name,
           kind_names[it->second.index()], kind_names[alternative]);
    }
    value = it->second;
  }

  const Attributes& from_;
  std::set<std::string, std::less<>> read_;
};

class Collector final : public AttributeVisitor {
 public:
  std::map<std::string, std::optional<AttributeValue>> values;
  std::vector<AttributeInfo> infos;

 private:
  void element_type(std::string_view name) override { type_name_ = name; }
  void attribute(std::string_view name, std::optional<AttributeValue>& value, size_t alternative,
                 std::string_view doc, bool required) override {
    values[std::string(name)] = value;
    infos.push_back(
        {std::string(name), std::string(doc), alternative, required, name == type_name_, value});
  }

  std::string_view type_name_;
};

Collector collect(const Op& op) {
  Collector c;
  // attributes() only offers its fields; this visitor changes none of them.
  const_cast<Op&>(op).attributes(c);
  return c;
}

}  // namespace

DType AttributeVisitor::checked_dtype(std::string_view name, int64_t value) {
  if (value < 0 || value >= dtype_count) {
    fail(ErrorKind::Unsupported, "attribute '{}' names element type {}, which is not known", name,
         value);
  }
  return static_cast<DType>(value);
}

std::string to_string(const AttributeValue& value) { return std::visit(ToText{}, value); }

bool equal(const AttributeValue& a, const AttributeValue& b) { return std::visit(Equal{}, a, b); }

void read_attributes(Op& op, const Attributes& from) {
  Reader reader(from);
  op.attributes(reader);
  reader.finish();
}

std::vector<AttributeInfo> list_attributes(const Op& op) { return collect(op).infos; }

Attributes write_attributes(const Op& op, const Op& defaults) {
  Collector own = collect(op), standard = collect(defaults);
  Attributes result;
  for (const AttributeInfo& info : own.infos) {
    const auto& value = own.values[info.name];
    const auto& usual = standard.values[info.name];
    if (!value) continue;
    if (info.required || !usual || !equal(*value, *usual)) result[info.name] = *value;
  }
  return result;
}

}  // namespace onnxrun
