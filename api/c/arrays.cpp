#include "base/shape.h"
#include "c/handles.h"
#include "onnxrun/feed.h"

namespace onnxrun::c {

namespace {

// ONNX sets no limit; more axes than this are a caller's mistake.
constexpr int32_t most_axes = 64;

Tensor copy_strings(const onnxrun_tensor& view, Dims dims) {
  Tensor t(DType::String, std::move(dims));
  const auto* texts = static_cast<const char* const*>(view.data);
  for (int64_t i = 0; i < t.size(); ++i) {
    t.data<std::string>()[i] = need_text(texts[i], "a string of a tensor");
  }
  return t;
}

}  // namespace

Tensor to_tensor(const onnxrun_tensor& view) {
  if (view.type <= 0 || view.type >= dtype_count) {
    fail(ErrorKind::BadInput, "a tensor of type {}, which is none of ONNX's", view.type);
  }
  if (view.rank < 0 || view.rank > most_axes || (view.rank > 0 && !view.dims)) {
    fail(ErrorKind::BadInput, "a tensor of rank {}, expected 0 to {} and as many dims", view.rank,
         most_axes);
  }
  Dims dims;
  for (int32_t i = 0; i < view.rank; ++i) dims.push_back(view.dims[i]);
  const int64_t size = element_count(dims);
  if (size > 0 && !view.data) fail(ErrorKind::BadInput, "the data of a tensor are NULL");
  const auto dtype = static_cast<DType>(view.type);
  if (dtype == DType::String) return copy_strings(view, std::move(dims));
  return Tensor::wrap(view.data, dtype, std::move(dims));
}

NamedTensors to_arrays(const onnxrun_array* arrays, size_t count) {
  NamedTensors result;
  for (size_t i = 0; i < count; ++i) {
    std::string name =
        need_text(need(arrays + i, "the list of arrays").name, "the name of an array");
    try {
      result.push_back({name, to_tensor(arrays[i].tensor)});
    } catch (const Error& e) {
      throw e.in(ErrorFrame{ErrorFrame::Kind::Input, name});
    }
  }
  return result;
}

NamedValues to_values(const onnxrun_array* arrays, size_t count) {
  NamedValues values;
  for (NamedTensor& array : to_arrays(arrays, count)) {
    values.emplace_back(std::move(array.name), std::move(array.tensor));
  }
  return values;
}

onnxrun_tensor to_view(const Tensor& tensor) {
  return {const_cast<std::byte*>(tensor.raw()),  // NOLINT: the header says what is only read
          tensor.dims().data(), static_cast<int32_t>(tensor.rank()),
          static_cast<int32_t>(tensor.dtype())};
}

onnxrun_tensor to_view(const Tensor& tensor, std::vector<const char*>& texts) {
  onnxrun_tensor view = to_view(tensor);
  if (tensor.dtype() != DType::String) return view;
  texts.clear();
  for (const std::string& text : tensor.span<std::string>()) texts.push_back(text.c_str());
  view.data = texts.data();
  return view;
}

std::unique_ptr<onnxrun_arrays> new_arrays(NamedTensors arrays) {
  auto made = std::make_unique<onnxrun_arrays>();
  made->texts.resize(arrays.size());
  made->arrays = std::move(arrays);
  for (size_t i = 0; i < made->arrays.size(); ++i) to_view(made->arrays[i].tensor, made->texts[i]);
  return made;
}

}  // namespace onnxrun::c

using namespace onnxrun::c;  // NOLINT: functions of C have no namespace

size_t onnxrun_arrays_count(const onnxrun_arrays* arrays) {
  return arrays ? arrays->arrays.size() : 0;
}

onnxrun_status onnxrun_arrays_get(const onnxrun_arrays* arrays, size_t index,
                                  onnxrun_array* array) {
  return guarded([&] {
    const onnxrun::NamedTensors& all = need(arrays, "the arrays").arrays;
    if (index >= all.size()) {
      onnxrun::fail(onnxrun::ErrorKind::Usage, "there are {} arrays, none is number {}", all.size(),
                    index);
    }
    onnxrun_tensor view = to_view(all[index].tensor);
    if (all[index].tensor.dtype() == onnxrun::DType::String) {
      view.data = const_cast<const char**>(arrays->texts[index].data());  // NOLINT
    }
    need(array, "the result") = {all[index].name.c_str(), view};
  });
}

void onnxrun_arrays_free(onnxrun_arrays* arrays) { delete arrays; }  // NOLINT: a handle of C

onnxrun_status onnxrun_arrays_read(const char* file, onnxrun_arrays** arrays) {
  return guarded(
      [&] { give(new_arrays(onnxrun::open_arrays({need_text(file, "the file")})), arrays); });
}
