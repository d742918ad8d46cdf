// JSON documents: what the command prints, and what headers of data files are.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace onnxrun {

// A value of a JSON document. Objects keep the order in which their members were put in:
//
//     Json doc = {{"schema", "onnxrun.run/1"}, {"loss", 0.5}};
//     doc["list"] = Json::array();
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(int value) : value_(int64_t{value}) {}
  Json(int64_t value) : value_(value) {}
  Json(uint64_t value) : value_(value) {}
  // NaN and infinities become null in the text, which has no such numbers.
  Json(double value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(const std::vector<std::string>& values);
  Json(const std::vector<int64_t>& values);
  // An object.
  Json(std::initializer_list<std::pair<std::string_view, Json>> members);

  static Json array(Array elements = {});
  static Json object(Object members = {});

  // Nothing if `text` is not one JSON value, or if it is nested more than 100 deep. Members come in
  // the order of their names, of several with one name the last.
  static std::optional<Json> parse(std::string_view text);

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  // The value if it is of that kind, else null (nothing for integers).
  const std::string* string() const { return std::get_if<std::string>(&value_); }
  const Array* elements() const { return std::get_if<Array>(&value_); }
  const Object* members() const { return std::get_if<Object>(&value_); }
  // An integer in the range of int64.
  std::optional<int64_t> integer() const;
  // Any number.
  std::optional<double> number() const;
  // The member of an object; null if there is none, or this is no object.
  const Json* find(std::string_view name) const;

  // The member of an object, made if it is not there. Null becomes an object; Internal if this is
  // anything else.
  Json& operator[](std::string_view name);
  // Appends all members of `other`, an object.
  void append_members(const Json& other);
  // Appends to an array. Null becomes an array; Internal if this is anything else.
  void push_back(Json element);

  // The document as text, indented by two spaces a level with a line break at the end, or, if not
  // `indented`, on one line without one. Bytes that are no UTF-8 become U+FFFD.
  std::string text(bool indented = true) const;
  // The text of what is neither array nor object.
  std::string scalar_text() const;

 private:
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Array, Object> value_;
};

// `text` as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

}  // namespace onnxrun
