// ai.onnx.ml, of maps: CastMap, DictVectorizer, ZipMap.
#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/core.h>

#include "graph/infer_context.h"
#include "graph/run_context.h"
#include "ml/lists.h"
#include "tensor/tensor.h"

namespace onnxrun {

namespace {

using OptionalInts = std::optional<std::vector<int64_t>>;
using Strings = std::optional<std::vector<std::string>>;

constexpr int64_t max_map_length = int64_t{1} << 31;

// The type of what a map holds; rejects what is no map from `keys`.
DType held_type(const InferContext& c, DTypeSet keys) {
  const Type& map = c.type(0);
  if (map.kind != Type::Kind::Map || !map.element || !map.element->is_tensor() ||
      !keys.contains(map.dtype)) {
    c.reject("{}, expected a map from {} to numbers or strings", c.describe_input(0),
             to_string(keys));
  }
  return map.element->dtype;
}

// The one element that a map holds at a place.
const Tensor& held(const RuntimeValue& map, size_t i) {
  const RuntimeValue& value = map.elements()[i];
  if (!value.is_tensor() || value.tensor.size() != 1) {
    fail(ErrorKind::BadInput, "a map holds {}, expected one element", describe(value));
  }
  return value.tensor;
}

class ZipMap final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("classlabels_int64s", ints_, "the keys");
    v.visit("classlabels_strings", strings_, "the keys");
  }

  void infer(InferContext& c) const override {
    if ((size_of(ints_) > 0) == (size_of(strings_) > 0)) {
      c.reject("{} integers and {} strings are the keys", size_of(ints_), size_of(strings_));
    }
    if (c.shape(0)) {
      if (c.shape(0)->empty() || c.rank(0) > 2) c.reject("{}, expected rows", c.describe_input(0));
      const Dim& count = c.shape(0)->back();
      if (count.is_known() && count.value() != labels()) {
        c.reject("{}, but there are {} keys", c.describe_input(0), labels());
      }
    }
    DType key = size_of(ints_) > 0 ? DType::Int64 : DType::String;
    c.set_output(0, Type::sequence(Type::map(key, Type::tensor(DType::Float32, Shape{}))));
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    const int64_t rows = x.rank() == 1 ? 1 : x.dim(0), n = labels();
    if (x.dims().back() != n) fail(ErrorKind::BadInput, "{}, but {} keys", x.type_text(), n);
    constexpr int64_t entry_bytes = sizeof(RuntimeValue) + 64;  // and the number
    c.control().require(x.size(), entry_bytes, "a sequence of maps");
    Tensor keys = size_of(ints_) > 0
                      ? Tensor::of<int64_t>({n}, std::span<const int64_t>(*ints_))
                      : Tensor::of<std::string>({n}, std::span<const std::string>(*strings_));
    RuntimeValue::Items maps;
    for (int64_t r = 0; r < rows; ++r) {
      c.control().check();
      RuntimeValue::Items values;
      for (int64_t k = 0; k < n; ++k) {
        values.emplace_back(Tensor::scalar(x.data<float>()[r * n + k]));
      }
      maps.push_back(RuntimeValue::map(keys, std::move(values)));
    }
    c.set_value(0, c.control().sequence(std::move(maps)));
  }

 private:
  int64_t labels() const {
    return static_cast<int64_t>(std::max(size_of(ints_), size_of(strings_)));
  }

  OptionalInts ints_;
  Strings strings_;
};

// What a map says of each word; nothing is zero, or an empty string.
class DictVectorizer final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("int64_vocabulary", ints_, "the keys, in the order of the output");
    v.visit("string_vocabulary", strings_, "the keys, in the order of the output");
  }

  void infer(InferContext& c) const override {
    if ((size_of(ints_) > 0) == (size_of(strings_) > 0)) {
      c.reject("{} integers and {} strings are the vocabulary", size_of(ints_), size_of(strings_));
    }
    DType held = held_type(c, size_of(ints_) > 0 ? DType::Int64 : DType::String);
    c.set_output(0, held, Shape{Dim(1), Dim(words())});
  }

  void run(RunContext& c) const override {
    const RuntimeValue& map = c.value(0);
    dispatch<std::string, int64_t, float, double>(c.output(0).dtype(),
                                                  [&]<typename T>() { fill<T>(map, c.output(0)); });
  }

 private:
  int64_t words() const {
    return static_cast<int64_t>(std::max(size_of(ints_), size_of(strings_)));
  }

  template <typename T>
  void fill(const RuntimeValue& map, Tensor& y) const {
    if (size_of(ints_) > 0) {
      fill<T>(map, *ints_, y);
    } else {
      fill<T>(map, *strings_, y);
    }
  }

  template <typename T, typename Key>
  static void fill(const RuntimeValue& map, const std::vector<Key>& vocabulary, Tensor& y) {
    std::map<Key, size_t> places;
    for (int64_t k = 0; k < map.tensor.size(); ++k) {
      places.try_emplace(map.tensor.data<Key>()[k], static_cast<size_t>(k));
    }
    T* out = y.data<T>();
    for (const Key& word : vocabulary) {
      auto it = places.find(word);
      *out++ = it == places.end() ? T() : held(map, it->second).template data<T>()[0];
    }
  }

  OptionalInts ints_;
  Strings strings_;
};

// The values in the order of their keys, or each at its key with what is missing filled in.
class CastMap final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("cast_to", cast_to_, "TO_FLOAT, TO_STRING or TO_INT64");
    v.visit("map_form", form_, "DENSE: the values; SPARSE: each at its key");
    v.visit("max_map", length_, "SPARSE: the length of the output");
  }

  void infer(InferContext& c) const override {
    held_type(c, DType::Int64);
    if (form_ != "DENSE" && form_ != "SPARSE") c.reject("attribute 'map_form' is '{}'", form_);
    if (sparse() && (length_ < 1 || length_ > max_map_length)) {
      c.reject("attribute 'max_map' is {}", length_);
    }
    c.set_output(0, type(), Shape{Dim(1), sparse() ? Dim(length_) : Dim()});
  }

  void run(RunContext& c) const override {
    const RuntimeValue& map = c.value(0);
    const Tensor& keys = map.tensor;
    std::vector<std::pair<int64_t, size_t>> order;
    for (int64_t k = 0; k < keys.size(); ++k) {
      order.emplace_back(keys.data<int64_t>()[k], static_cast<size_t>(k));
    }
    std::sort(order.begin(), order.end());
    if (sparse() && !order.empty() && order.front().first < 0) {
      fail(ErrorKind::BadInput, "the map has the key {}", order.front().first);
    }
    int64_t length = sparse() ? length_ : keys.size();
    Tensor& y = c.allocate(0, type(), {1, length});
    if (sparse()) fill(y);
    for (size_t k = 0; k < order.size(); ++k) {
      int64_t at = sparse() ? order[k].first : static_cast<int64_t>(k);
      if (at < length) write(held(map, order[k].second), at, y);
    }
  }

 private:
  bool sparse() const { return form_ == "SPARSE"; }

  DType type() const {
    if (cast_to_ == "TO_FLOAT") return DType::Float32;
    if (cast_to_ == "TO_INT64") return DType::Int64;
    if (cast_to_ == "TO_STRING") return DType::String;
    fail(ErrorKind::BadModel, "attribute 'cast_to' is '{}'", cast_to_);
  }

  // Strings as ONNX Runtime has them.
  static void fill(Tensor& y) {
    if (y.dtype() == DType::String) {
      std::fill_n(y.data<std::string>(), y.size(), "0.f");
    } else {
      std::fill_n(y.raw(), y.bytes(), std::byte(0));
    }
  }

  static void write(const Tensor& value, int64_t at, Tensor& y) {
    bool text = value.dtype() == DType::String;
    if (y.dtype() == DType::String) {
      y.data<std::string>()[at] =
          text ? value.data<std::string>()[0] : fmt::format("{:f}", value.data<float>()[0]);
    } else if (y.dtype() == DType::Float32) {
      y.data<float>()[at] =
          text ? parse<float>(value.data<std::string>()[0]) : value.data<float>()[0];
    } else if (text) {
      y.data<int64_t>()[at] = parse<int64_t>(value.data<std::string>()[0]);
    } else {
      y.data<int64_t>()[at] = convert(value, DType::Int64).data<int64_t>()[0];
    }
  }

  template <typename T>
  static T parse(const std::string& text) {
    T value{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      fail(ErrorKind::BadInput, "the map holds '{}', which is no number", text);
    }
    return value;
  }

  std::string cast_to_ = "TO_FLOAT", form_ = "DENSE";
  int64_t length_ = 1;
};

OpSpec map_spec(std::string_view name, std::string_view doc) {
  return {.name = name,
          .domain = "ai.onnx.ml",
          .doc = doc,
          .since = {1},
          .gradient = GradientState::NotDifferentiable};
}

}  // namespace

void register_ml_maps(OpRegistry& r) {
  OpSpec zip = map_spec("ZipMap", "a map from classes to scores for each row");
  zip.inputs = {{"X", "tensor(float)"}};
  zip.outputs = {{"Z", "T"}};
  zip.types = {{"tensor(float)", DType::Float32}, {.name = "T", .map = true}};
  r.add<ZipMap>(std::move(zip));
  OpSpec dict = map_spec("DictVectorizer", "what a map says of the words of a vocabulary");
  dict.inputs = {{"X", "T1"}};
  dict.outputs = {{"Y", "T2"}};
  dict.types = {{.name = "T1", .map = true},
                {"T2", dtypes::f32_f64 | DTypeSet{DType::Int64, DType::String}}};
  r.add<DictVectorizer>(std::move(dict));
  OpSpec cast = map_spec("CastMap", "the values of a map as a row");
  cast.inputs = {{"X", "T1"}};
  cast.outputs = {{"Y", "T2"}};
  cast.types = {{.name = "T1", .map = true},
                {"T2", DTypeSet{DType::Float32, DType::Int64, DType::String}}};
  r.add<CastMap>(std::move(cast));
}

}  // namespace onnxrun
