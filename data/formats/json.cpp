#include "formats/json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace onnxrun {

namespace {

using Document = nlohmann::json;

constexpr int max_depth = 100;

Json from_document(const Document& from) {
  switch (from.type()) {
    case Document::value_t::boolean:
      return from.get<bool>();
    case Document::value_t::number_integer:
      return from.get<int64_t>();
    case Document::value_t::number_unsigned:
      return from.get<uint64_t>();
    case Document::value_t::number_float:
      return from.get<double>();
    case Document::value_t::string:
      return from.get<std::string>();
    case Document::value_t::array: {
      Json::Array elements;
      for (const Document& element : from) elements.push_back(from_document(element));
      return Json::array(std::move(elements));
    }
    case Document::value_t::object: {
      Json::Object members;
      for (const auto& [name, value] : from.items()) {
        members.emplace_back(name, from_document(value));
      }
      return Json::object(std::move(members));
    }
    default:
      return nullptr;
  }
}

std::string dump(const Document& scalar) {
  return scalar.dump(-1, ' ', false, Document::error_handler_t::replace);
}

// Writes a document; `indented` as in Json::text().
class Writer {
 public:
  explicit Writer(bool indented) : indented_(indented) {}

  std::string write(const Json& json) {
    append(json);
    return std::move(text_);
  }

 private:
  void append(const Json& json) {
    if (const auto* elements = json.elements()) {
      list('[', ']', elements->size(), [&](size_t i) { append((*elements)[i]); });
    } else if (const auto* members = json.members()) {
      list('{', '}', members->size(), [&](size_t i) {
        text_ += json_string((*members)[i].first) + ": ";
        append((*members)[i].second);
      });
    } else {
      text_ += json.scalar_text();
    }
  }

  template <typename F>
  void list(char open, char close, size_t count, const F& append_item) {
    text_ += open;
    ++depth_;
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) text_ += indented_ ? "," : ", ";
      break_line();
      append_item(i);
    }
    --depth_;
    if (count > 0) break_line();
    text_ += close;
  }

  void break_line() {
    if (indented_) text_ += "\n" + std::string(2 * depth_, ' ');
  }

  bool indented_;
  size_t depth_ = 0;
  std::string text_;
};

}  // namespace

Json::Json(const std::vector<std::string>& values) : value_(Array(values.begin(), values.end())) {}
Json::Json(const std::vector<int64_t>& values) : value_(Array(values.begin(), values.end())) {}

Json::Json(std::initializer_list<std::pair<std::string_view, Json>> members) {
  Object object;
  for (const auto& [name, value] : members) object.emplace_back(name, value);
  value_ = std::move(object);
}

Json Json::array(Array elements) {
  Json json;
  json.value_ = std::move(elements);
  return json;
}

Json Json::object(Object members) {
  Json json;
  json.value_ = std::move(members);
  return json;
}

std::optional<Json> Json::parse(std::string_view text) {
  bool too_deep = false;
  auto watch = [&](int depth, Document::parse_event_t, Document&) {
    too_deep |= depth > max_depth;
    return !too_deep;
  };
  Document document = Document::parse(text, watch, false);
  if (too_deep || document.is_discarded()) return std::nullopt;
  return from_document(document);
}

std::optional<int64_t> Json::integer() const {
  if (const auto* value = std::get_if<int64_t>(&value_)) return *value;
  const auto* value = std::get_if<uint64_t>(&value_);
  if (value && *value <= static_cast<uint64_t>(INT64_MAX)) return static_cast<int64_t>(*value);
  return std::nullopt;
}

std::optional<double> Json::number() const {
  if (const auto* value = std::get_if<double>(&value_)) return *value;
  if (const auto* value = std::get_if<uint64_t>(&value_)) return static_cast<double>(*value);
  if (const auto* value = std::get_if<int64_t>(&value_)) return static_cast<double>(*value);
  return std::nullopt;
}

const Json* Json::find(std::string_view name) const {
  const Object* object = members();
  if (!object) return nullptr;
  for (const auto& [key, value] : *object) {
    if (key == name) return &value;
  }
  return nullptr;
}

Json& Json::operator[](std::string_view name) {
  if (is_null()) value_ = Object();
  auto* object = std::get_if<Object>(&value_);
  if (!object) fail(ErrorKind::Internal, "member '{}' of what is no JSON object", name);
  for (auto& [key, value] : *object) {
    if (key == name) return value;
  }
  return object->emplace_back(std::string(name), Json()).second;
}

void Json::append_members(const Json& other) {
  for (const auto& [name, value] : *other.members()) (*this)[name] = value;
}

void Json::push_back(Json element) {
  if (is_null()) value_ = Array();
  auto* array = std::get_if<Array>(&value_);
  if (!array) fail(ErrorKind::Internal, "an element for what is no JSON array");
  array->push_back(std::move(element));
}

std::string Json::scalar_text() const {
  if (const auto* value = string()) return json_string(*value);
  if (const auto* value = std::get_if<bool>(&value_)) return *value ? "true" : "false";
  if (const auto* value = std::get_if<int64_t>(&value_)) return dump(*value);
  if (const auto* value = std::get_if<uint64_t>(&value_)) return dump(*value);
  if (const auto* value = std::get_if<double>(&value_)) return dump(*value);
  return "null";
}

std::string Json::text(bool indented) const {
  return Writer(indented).write(*this) + (indented ? "\n" : "");
}

std::string json_string(std::string_view text) { return dump(text); }

}  // namespace onnxrun
