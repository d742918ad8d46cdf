// ai.onnx.ml, of single features: CategoryMapper, Imputer, LabelEncoder, OneHotEncoder.
#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "emit/function_op.h"
#include "graph/upgrade_context.h"
#include "ml/lists.h"
#include "tensor/tensor.h"

namespace onnxrun {

namespace {

using OptionalInts = std::optional<std::vector<int64_t>>;
using Floats = std::optional<std::vector<float>>;
using Strings = std::optional<std::vector<std::string>>;

template <typename T>
Tensor list_of(const std::vector<T>& values) {
  return Tensor::of<T>({static_cast<int64_t>(values.size())}, std::span<const T>(values));
}

// Where keys stand in a list; of equal ones the first. All NaNs are equal.
class Places {
 public:
  explicit Places(const Tensor& keys) {
    for (int64_t i = 0; i < keys.size(); ++i) add(keys, i);
  }

  // The place of element i of a tensor of the keys' type; nothing if it is none of them.
  std::optional<int64_t> find(const Tensor& x, int64_t i) const {
    if (x.dtype() == DType::String) return find(strings_, x.data<std::string>()[i]);
    return find(numbers_, key(x, i));
  }

 private:
  template <typename Map, typename Key>
  static std::optional<int64_t> find(const Map& map, const Key& key) {
    auto it = map.find(key);
    return it == map.end() ? std::nullopt : std::optional(it->second);
  }

  void add(const Tensor& keys, int64_t i) {
    if (keys.dtype() == DType::String) {
      strings_.try_emplace(keys.data<std::string>()[i], i);
    } else {
      numbers_.try_emplace(key(keys, i), i);
    }
  }

  // Numbers are equal where these are.
  static int64_t key(const Tensor& t, int64_t i) {
    switch (t.dtype()) {
      case DType::Int16:
        return t.data<int16_t>()[i];
      case DType::Int32:
        return t.data<int32_t>()[i];
      case DType::Int64:
        return t.data<int64_t>()[i];
      default:
        break;
    }
    double v = t.dtype() == DType::Float64 ? t.data<double>()[i] : double{t.data<float>()[i]};
    if (std::isnan(v)) return std::bit_cast<int64_t>(std::nan(""));
    return std::bit_cast<int64_t>(v == 0 ? 0.0 : v);
  }

  std::unordered_map<int64_t, int64_t> numbers_;
  std::unordered_map<std::string, int64_t> strings_;
};

template <typename T>
void look_up(const Places& places, const Tensor& x, const Tensor& values, const Tensor& other,
             Tensor& y) {
  const T* from = values.data<T>();
  const T& missing = other.data<T>()[0];
  T* to = y.data<T>();
  for (int64_t i = 0; i < x.size(); ++i) {
    std::optional<int64_t> at = places.find(x, i);
    to[i] = at ? from[*at] : missing;
  }
}

// Of each element of x, the value that belongs to the equal key, or `other`, one element.
void look_up(const Tensor& x, const Tensor& keys, const Tensor& values, const Tensor& other,
             Tensor& y) {
  Places places(keys);
  dispatch<std::string, int16_t, int32_t, int64_t, float, double>(
      values.dtype(), [&]<typename T>() { look_up<T>(places, x, values, other, y); });
}

constexpr DTypeSet label_types{DType::String, DType::Int64, DType::Float32,
                               DType::Int32,  DType::Int16, DType::Float64};

class LabelEncoder final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("default_float", default_float_, "the value of what is no key");
    v.visit("default_int64", default_int_, "the value of what is no key");
    v.visit("default_string", default_string_, "the value of what is no key");
    v.visit("default_tensor", default_tensor_, "the value of what is no key");
    v.visit("keys_floats", keys_floats_, "what is looked up");
    v.visit("keys_int64s", keys_ints_, "what is looked up");
    v.visit("keys_strings", keys_strings_, "what is looked up");
    v.visit("keys_tensor", keys_tensor_, "what is looked up");
    v.visit("values_floats", values_floats_, "what keys become");
    v.visit("values_int64s", values_ints_, "what keys become");
    v.visit("values_strings", values_strings_, "what keys become");
    v.visit("values_tensor", values_tensor_, "what keys become");
  }

  void infer(InferContext& c) const override {
    Tensor k = keys(), v = values(), d = missing(v.dtype());
    if (k.size() != v.size() || k.size() == 0) c.reject("{} keys, {} values", k.size(), v.size());
    if (c.dtype(0) != k.dtype()) {
      c.reject("{}, but keys are {}", c.describe_input(0), to_string(k.dtype()));
    }
    for (const Tensor* t : {&k, &v}) {
      if (!label_types.contains(t->dtype()))
        c.reject("keys or values of {}", to_string(t->dtype()));
    }
    if (d.dtype() != v.dtype() || d.size() != 1) {
      c.reject("attribute 'default_tensor' is {}, expected one {}", d.type_text(),
               to_string(v.dtype()));
    }
    Type type = c.type(0);
    type.dtype = v.dtype();
    c.set_output(0, std::move(type));
  }

  void run(RunContext& c) const override {
    Tensor v = values();
    look_up(c.input(0), keys(), v, missing(v.dtype()), c.output(0));
  }

  // Version 1: the strings of a list and their places. Before version 4 a NaN was no key.
  static void upgrade(UpgradeContext& u) {
    if (u.opset() < 4) drop_nans(u);
    if (u.opset() > 1) return;
    auto strings = u.take<std::vector<std::string>>("classes_strings");
    if (!strings) fail(ErrorKind::BadModel, "attribute 'classes_strings' is missing");
    std::vector<int64_t> places;
    for (size_t i = 0; i < strings->size(); ++i) places.push_back(static_cast<int64_t>(i));
    bool to_places = u.type(u.input(0)).dtype == DType::String;
    u.attributes()[to_places ? "keys_strings" : "values_strings"] = std::move(*strings);
    u.attributes()[to_places ? "values_int64s" : "keys_int64s"] = std::move(places);
  }

 private:
  static void drop_nans(UpgradeContext& u) {
    auto keys = u.attributes().find("keys_floats");
    auto* floats =
        keys == u.attributes().end() ? nullptr : std::get_if<std::vector<float>>(&keys->second);
    if (!floats) return;
    auto drop = [&](auto& values) {
      if (values.size() != floats->size()) return;
      for (size_t i = values.size(); i-- > 0;) {
        if (std::isnan((*floats)[i])) values.erase(values.begin() + static_cast<ptrdiff_t>(i));
      }
    };
    for (auto& [name, value] : u.attributes()) {
      if (auto* ints = std::get_if<std::vector<int64_t>>(&value)) drop(*ints);
      if (auto* strings = std::get_if<std::vector<std::string>>(&value)) drop(*strings);
      auto* others = std::get_if<std::vector<float>>(&value);
      if (others && others != floats) drop(*others);
    }
    std::erase_if(*floats, [](float v) { return std::isnan(v); });
  }

  static Tensor one_of(std::string_view what, const Floats& floats, const OptionalInts& ints,
                       const Strings& strings, const std::optional<Tensor>& tensor) {
    int given = (size_of(floats) > 0) + (size_of(ints) > 0) + (size_of(strings) > 0) +
                static_cast<int>(tensor.has_value());
    if (given != 1) fail(ErrorKind::BadModel, "{} lists of {}, expected one", given, what);
    if (tensor) return *tensor;
    if (size_of(ints) > 0) return list_of(*ints);
    return size_of(floats) > 0 ? list_of(*floats) : list_of(*strings);
  }
  Tensor keys() const {
    return one_of("keys", keys_floats_, keys_ints_, keys_strings_, keys_tensor_);
  }
  Tensor values() const {
    return one_of("values", values_floats_, values_ints_, values_strings_, values_tensor_);
  }

  Tensor missing(DType type) const {
    if (default_tensor_) return *default_tensor_;
    if (type == DType::String) return list_of(std::vector<std::string>{default_string_});
    if (type == DType::Float32 || type == DType::Float64) {
      return convert(list_of(std::vector<float>{default_float_}), type);
    }
    return convert(list_of(std::vector<int64_t>{default_int_}), type);
  }

  float default_float_ = -0.0f;
  int64_t default_int_ = -1;
  std::string default_string_ = "_Unused";
  std::optional<Tensor> default_tensor_, keys_tensor_, values_tensor_;
  Floats keys_floats_, values_floats_;
  OptionalInts keys_ints_, values_ints_;
  Strings keys_strings_, values_strings_;
};

class CategoryMapper final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("cats_int64s", ints_, "numbers of the categories");
    v.visit("cats_strings", strings_, "their names");
    v.visit("default_int64", default_int_, "the number of what is no category");
    v.visit("default_string", default_string_, "the name of what is none");
  }

  void infer(InferContext& c) const override {
    if (size_of(ints_) != size_of(strings_) || size_of(ints_) == 0) {
      c.reject("{} numbers and {} names of categories", size_of(ints_), size_of(strings_));
    }
    Type type = c.type(0);
    type.dtype = c.dtype(0) == DType::String ? DType::Int64 : DType::String;
    c.set_output(0, std::move(type));
  }

  void run(RunContext& c) const override {
    Tensor numbers = list_of(*ints_), names = list_of(*strings_);
    if (c.input(0).dtype() == DType::String) {
      Tensor other = list_of(std::vector<int64_t>{default_int_});
      look_up(c.input(0), names, numbers, other, c.output(0));
    } else {
      Tensor other = list_of(std::vector<std::string>{default_string_});
      look_up(c.input(0), numbers, names, other, c.output(0));
    }
  }

 private:
  OptionalInts ints_;
  Strings strings_;
  int64_t default_int_ = -1;
  std::string default_string_ = "_Unused";
};

// Numbers count as what is left of them as integers.
class OneHotEncoder final : public Op {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("cats_int64s", ints_, "the categories");
    v.visit("cats_strings", strings_, "the categories");
    v.visit("zeros", zeros_, "0 rejects what is no category, 1 makes zeros of it");
  }

  void infer(InferContext& c) const override {
    bool strings = c.dtype(0) == DType::String;
    if ((size_of(ints_) > 0) == (size_of(strings_) > 0) || (size_of(strings_) > 0) != strings) {
      c.reject("{} integers and {} strings are the categories, but {}", size_of(ints_),
               size_of(strings_), c.describe_input(0));
    }
    std::optional<Shape> shape;
    if (c.shape(0)) {
      shape = *c.shape(0);
      shape->push_back(Dim(categories()));
    }
    c.set_output(0, DType::Float32, std::move(shape));
  }

  void run(RunContext& c) const override {
    const Tensor& x = c.input(0);
    Tensor keys = ints_ && !ints_->empty() ? list_of(*ints_) : list_of(*strings_);
    Tensor sought = x.dtype() == DType::String ? x : convert(x, DType::Int64);
    Places places(keys);
    float* y = c.output(0).data<float>();
    std::fill_n(y, c.output(0).size(), 0.0f);
    for (int64_t i = 0; i < x.size(); ++i) {
      std::optional<int64_t> at = places.find(sought, i);
      if (at) {
        y[i * categories() + *at] = 1;
      } else if (!zeros_) {
        fail(ErrorKind::BadInput, "element {} is none of the {} categories", i, categories());
      }
    }
  }

 private:
  int64_t categories() const {
    return static_cast<int64_t>(std::max(size_of(ints_), size_of(strings_)));
  }

  OptionalInts ints_;
  Strings strings_;
  bool zeros_ = true;
};

class Imputer final : public FunctionOp {
 public:
  void attributes(AttributeVisitor& v) override {
    v.visit("imputed_value_floats", floats_, "what is written instead: one, or one a feature");
    v.visit("imputed_value_int64s", ints_, "what is written instead: one, or one a feature");
    v.visit("replaced_value_float", replaced_float_, "what is replaced");
    v.visit("replaced_value_int64", replaced_int_, "what is replaced");
  }

  void decompose(DecomposeContext& d) const override {
    Emit e(d.builder());
    ValueId x = d.input(0);
    bool real = is_real(d.dtype(x));
    Tensor given = real ? list_of(*floats_) : list_of(*ints_);
    ValueId instead = e.b.constant(convert(given, d.dtype(x)));
    Tensor old = real ? Tensor::scalar(replaced_float_) : Tensor::scalar(replaced_int_);
    ValueId found = real && std::isnan(replaced_float_)
                        ? e("IsNaN", {x})
                        : e.equal(x, e.b.constant(convert(old, d.dtype(x))));
    d.set(0, e.where(found, instead, x));
  }

 protected:
  void check(const InferContext& c) const override {
    bool real = is_real(c.dtype(0));
    size_t given = real ? size_of(floats_) : size_of(ints_);
    if (c.shape(0) && c.shape(0)->empty()) c.reject("{}, expected features", c.describe_input(0));
    const Dim count = c.shape(0) ? c.shape(0)->back() : Dim();
    bool fits = given == 1 || !count.is_known() || count.value() == static_cast<int64_t>(given);
    if (given == 0 || !fits) {
      c.reject("attribute '{}' has {} values, but {}",
               real ? "imputed_value_floats" : "imputed_value_int64s", given, c.describe_input(0));
    }
  }

 private:
  static bool is_real(DType t) { return t == DType::Float32 || t == DType::Float64; }

  Floats floats_;
  OptionalInts ints_;
  float replaced_float_ = 0;
  int64_t replaced_int_ = 0;
};

OpSpec encoder(std::string_view name, std::string_view doc, std::vector<int> since = {1}) {
  return {.name = name,
          .domain = "ai.onnx.ml",
          .doc = doc,
          .since = std::move(since),
          .gradient = GradientState::NotDifferentiable};
}

}  // namespace

void register_ml_encoders(OpRegistry& r) {
  constexpr DTypeSet names{DType::String, DType::Int64};
  OpSpec labels = encoder("LabelEncoder", "each key becomes its value", {1, 2, 4});
  labels.inputs = {{"X", "T1"}};
  labels.outputs = {{"Y", "T2"}};
  labels.types = {{"T1", label_types}, {"T2", label_types}};
  labels.upgrade = LabelEncoder::upgrade;
  r.add<LabelEncoder>(std::move(labels));
  OpSpec mapper = encoder("CategoryMapper", "names of categories become numbers, or the opposite");
  mapper.inputs = {{"X", "T1"}};
  mapper.outputs = {{"Y", "T2"}};
  mapper.types = {{"T1", names}, {"T2", names}};
  r.add<CategoryMapper>(std::move(mapper));
  OpSpec one_hot =
      encoder("OneHotEncoder", "1 at the place of each element's category, 0 elsewhere");
  one_hot.inputs = {{"X", "T"}};
  one_hot.outputs = {{"Y", "tensor(float)"}};
  one_hot.types = {{"T", names | dtypes::f32_f64 | DTypeSet(DType::Int32)},
                   {"tensor(float)", DType::Float32}};
  r.add<OneHotEncoder>(std::move(one_hot));
  OpSpec imputer = encoder("Imputer", "other values for those that stand for missing ones");
  imputer.inputs = {{"X", "T"}};
  imputer.outputs = {{"Y", "T"}};
  imputer.types = {{"T", dtypes::f32_f64 | dtypes::index}};
  imputer.gradient = GradientState::Decompose;
  imputer.decomposes = true;
  r.add<Imputer>(std::move(imputer));
}

}  // namespace onnxrun
