#include "formats/print.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "formats/element_text.h"

namespace onnxrun {

namespace {

template <typename T>
std::string float_text(T value) {
  if (std::isnan(value)) return "\"NaN\"";
  if (std::isinf(value)) return value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  return fmt::format("{}", value);
}

std::string json_element(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::String:
      return json_string(t.data<std::string>()[i]);
    case DType::Float32:
      return float_text(t.data<float>()[i]);
    case DType::Float64:
      return float_text(t.data<double>()[i]);
    case DType::Complex64: {
      auto z = t.data<std::complex<float>>()[i];
      return fmt::format("[{}, {}]", float_text(z.real()), float_text(z.imag()));
    }
    case DType::Complex128: {
      auto z = t.data<std::complex<double>>()[i];
      return fmt::format("[{}, {}]", float_text(z.real()), float_text(z.imag()));
    }
    default:
      break;
  }
  std::string text = element_text(t, i);
  return is_float(t.dtype()) ? float_text(std::stof(text)) : text;
}

void append_lists(const Tensor& t, int64_t axis, int64_t& next, std::string& text) {
  if (axis == t.rank()) {
    text += json_element(t, next++);
    return;
  }
  text += '[';
  for (int64_t i = 0; i < t.dim(axis); ++i) {
    if (i > 0) text += ", ";
    append_lists(t, axis + 1, next, text);
  }
  text += ']';
}

// Whether the brackets around nothing are few enough to print: there may be 2^40 pairs of them.
bool is_printable(const Tensor& empty) {
  constexpr int64_t most = 1 << 16;
  int64_t lists = 1;
  for (int64_t d : empty.dims()) {
    if (d == 0) return true;
    if (d > most / lists) return false;
    lists *= d;
  }
  return true;
}

}  // namespace

std::string json_number(double value) { return float_text(value); }

std::string json_values(const Tensor& t) {
  if (t.size() == 0 && !is_printable(t)) return "[]";
  std::string text;
  int64_t next = 0;
  append_lists(t, 0, next, text);
  return text;
}

std::string to_json(const NamedTensors& arrays) {
  std::string text = "{";
  for (const NamedTensor& a : arrays) {
    text += text.size() > 1 ? ",\n" : "\n";
    text +=
        fmt::format("  {}: {{\"dtype\": \"{}\", \"shape\": {}, \"data\": {}}}", json_string(a.name),
                    to_string(a.tensor.dtype()), to_string(a.tensor.dims()), json_values(a.tensor));
  }
  return text + "\n}\n";
}

namespace {

class TextPrinter {
 public:
  TextPrinter(const Tensor& t, const PrintOptions& options)
      : t_(t),
        edge_(t.size() > options.threshold ? std::max<int64_t>(options.edge, 1) : INT64_MAX) {
    strides_.assign(t.dims().size(), 1);
    for (size_t d = strides_.size(); d-- > 1;) strides_[d - 1] = strides_[d] * t.dims()[d];
  }

  std::string print() {
    visit(0, 0, [&](int64_t i) { width_ = std::max(width_, element(i).size()); });
    print(0, 0);
    return text_;
  }

 private:
  std::string element(int64_t i) const {
    if (t_.dtype() == DType::String) return json_string(t_.data<std::string>()[i]);
    if (t_.dtype() == DType::Float64) return fmt::format("{:.8g}", t_.data<double>()[i]);
    return element_text(t_, i);
  }

  bool skips(int64_t axis) const { return edge_ < INT64_MAX && t_.dim(axis) > 2 * edge_; }

  template <typename F>
  void visit(int64_t axis, int64_t offset, const F& f) const {
    if (axis == t_.rank()) return f(offset);
    int64_t length = t_.dim(axis);
    for (int64_t i = 0; i < length; ++i) {
      if (skips(axis) && i == edge_) i = length - edge_;
      visit(axis + 1, offset + i * strides_[static_cast<size_t>(axis)], f);
    }
  }

  void print(int64_t axis, int64_t offset) {
    if (axis == t_.rank()) {
      text_ += fmt::format("{:>{}}", element(offset), width_);
      return;
    }
    bool innermost = axis + 1 == t_.rank();
    // A blank line for each further axis that ends, as numpy has it.
    std::string between = innermost ? " "
                                    : std::string(static_cast<size_t>(t_.rank() - axis - 1), '\n') +
                                          std::string(static_cast<size_t>(axis) + 1, ' ');
    text_ += '[';
    int64_t length = t_.dim(axis);
    for (int64_t i = 0; i < length; ++i) {
      if (i > 0) text_ += between;
      if (skips(axis) && i == edge_) {
        text_ += "..." + between;
        i = length - edge_;
      }
      print(axis + 1, offset + i * strides_[static_cast<size_t>(axis)]);
    }
    text_ += ']';
  }

  const Tensor& t_;
  int64_t edge_;
  Dims strides_;
  size_t width_ = 0;
  std::string text_;
};

}  // namespace

std::string to_text(const Tensor& t, const PrintOptions& options) {
  // numpy, too, prints no more than brackets when there is nothing inside.
  if (t.size() == 0) return "[]";
  return TextPrinter(t, options).print();
}

}  // namespace onnxrun
