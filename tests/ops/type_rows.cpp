#include "ops/type_rows.h"

#include <cmath>

namespace onnxrun::testing {

Tensor in_type(DType t, const Dims& dims, std::vector<double> values) {
  int64_t count = element_count(std::span<const int64_t>(dims));
  Tensor result(t, dims);
  for (int64_t i = 0; i < count; ++i) {
    double v = values[static_cast<size_t>(i) % values.size()];
    auto k = static_cast<int64_t>(v);
    if (t == DType::String) result.data<std::string>()[i] = k == 0 ? "" : std::to_string(k);
    if (t == DType::Complex64) result.data<std::complex<float>>()[i] = static_cast<float>(v);
    if (t == DType::Complex128) result.data<std::complex<double>>()[i] = v;
  }
  if (t == DType::String || is_complex(t)) return result;
  for (double& v : values) {
    if (t == DType::Bool || t == DType::Int2) v = std::fmod(v, 2);
    if (t == DType::UInt2) v = std::fmod(v, 4);
    if (t == DType::Float8E8M0) v = std::exp2(v - 1);
  }
  Tensor numbers(DType::Float64, dims);
  for (int64_t i = 0; i < count; ++i) {
    numbers.data<double>()[i] = values[static_cast<size_t>(i) % values.size()];
  }
  return convert(numbers, t);
}

constexpr DType by_width[] = {DType::Float64, DType::Int64, DType::UInt64, DType::Float32,
                              DType::Int32,   DType::UInt8, DType::Bool,   DType::String};

DType widest(DTypeSet types) {
  for (DType t : by_width) {
    if (types.contains(t)) return t;
  }
  ADD_FAILURE() << "no type is the widest of " << to_string(types);
  return DType::Float32;
}

const Param& param(const std::vector<Param>& params, size_t i) {
  return params[std::min(i, params.size() - 1)];
}

OpRun run_of(const Row& row, const OpSpec& spec, const Types& types) {
  OpRun run{row.op, {}, row.attributes, row.outputs};
  for (size_t i = 0; i < row.inputs.size(); ++i) {
    const In& in = row.inputs[i];
    std::vector<double> values = in.values;
    for (size_t k = 0; values.size() < 4 && in.values.empty(); ++k) {
      values.push_back(1 + static_cast<double>((k + 3 * i) % 4));
    }
    run.inputs.push_back(
        in.omitted ? Tensor() : in_type(types.at(param(spec.inputs, i).type), in.dims, values));
  }
  return run;
}

std::vector<Row> all_rows() {
  std::vector<Row> all = standard_rows();
  for (auto more : {early_rows(), microsoft_rows(), microsoft_form_rows(), ml_rows()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace onnxrun::testing
