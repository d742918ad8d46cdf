#include "inputs.h"

#include <algorithm>

#include "base/error.h"
#include "base/file_names.h"
#include "formats/image.h"
#include "formats/inline.h"
#include "messages.h"
#include "random_inputs.h"
#include "value_files.h"

namespace onnxrun::tool {

void add_input_options(Options& options, InputOptions& o) {
  options
      .add_repeated(
          "-i,--input", o.inputs,
          "NAME=FILE, NAME=[[0,1],[1,0]], a file with named arrays, a test-data directory, or - "
          "for standard input; .npy .npz[:key] .pb .safetensors[:key] .csv[:columns] .idx "
          ".png .jpg .bmp .webp .tif .jp2 .raw:TYPE:SHAPE")
      .type_name("SPEC");
  options.add_repeated("--dim", o.dims, "length of a symbolic dimension: batch=8")
      .type_name("NAME=N");
  options.add_repeated("--shape", o.shapes, "shape of an input: x=1x3x224x224")
      .type_name("NAME=SHAPE");
  options.add_switch("--random", o.random, "fill inputs that are not given with random numbers");
  options.add_repeated("--range", o.ranges, "of random numbers: x=0..1, or 0..1 for all inputs")
      .type_name("[NAME=]LOW..HIGH");
}

std::vector<ValueId> all_inputs(const Graph& graph) {
  std::vector<ValueId> ids = graph.inputs;
  ids.insert(ids.end(), graph.overridable.begin(), graph.overridable.end());
  return ids;
}

std::vector<std::string> names_of(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<std::string> names;
  for (ValueId v : ids) names.push_back(graph.name_of(v));
  return names;
}

namespace {

ValueId find_input(const Graph& graph, const std::string& name) {
  for (ValueId v : all_inputs(graph)) {
    if (graph.name_of(v) == name) return v;
  }
  return no_value;
}

std::string model_name(const Graph& graph) {
  return graph.source ? graph.source->path : "the model";
}

ValueId need_input(const Graph& graph, const std::string& name, std::string_view what) {
  ValueId v = find_input(graph, name);
  if (v == no_value) {
    fail(ErrorKind::BadInput, "{}: there is no input '{}'; there are {}", what, name,
         name_list(names_of(graph, all_inputs(graph))));
  }
  return v;
}

Dims parse_shape(const std::string& text) {
  Dims dims;
  if (text.empty()) return dims;
  for (const std::string& piece : split_list(text, 'x')) {
    int64_t n = parse_integer("--shape", piece);
    if (n < 0) fail(ErrorKind::Usage, "--shape: '{}' has a negative length", text);
    dims.push_back(n);
  }
  return dims;
}

void bind_dim(const Graph& graph, const std::string& text, ShapeBindings& bindings) {
  auto [name, value] = parse_assignment("--dim", text);
  std::vector<std::string> symbols;
  for (ValueId v : all_inputs(graph)) {
    const Type& type = graph.value(v).type;
    if (!type.shape) continue;
    for (const Dim& d : *type.shape) {
      if (d.is_symbolic() &&
          std::find(symbols.begin(), symbols.end(), d.to_string()) == symbols.end()) {
        symbols.push_back(d.to_string());
      }
    }
  }
  if (std::find(symbols.begin(), symbols.end(), name) == symbols.end()) {
    fail(ErrorKind::BadInput, "--dim: no input has a dimension '{}'; there are {}", name,
         name_list(symbols));
  }
  int64_t n = parse_integer("--dim", value);
  if (n < 0) fail(ErrorKind::Usage, "--dim: '{}' is negative", text);
  bindings.dims[name] = n;
}

// Text and pictures have no element type of their own to keep.
bool takes_model_type(const std::string& spec) {
  if (is_inline(spec) && !file_exists(spec)) return false;  // read in the right type
  for (const char* extension : {".csv", ".tsv"}) {
    if (spec.find(extension) != std::string::npos) return true;
  }
  return false;
}

bool is_picture(const std::string& spec) {
  std::string lower = spec;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* extension :
       {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".jp2"}) {
    if (lower.ends_with(extension)) return true;
  }
  return false;
}

RuntimeValue fitted(const Graph& graph, ValueId v, const std::string& spec, Tensor tensor) {
  const Type& type = graph.value(v).type;
  if (!type.is_tensor()) return tensor;
  if (is_picture(spec) && type.shape) return image_as_input(tensor, *type.shape, type.dtype);
  bool convertible = tensor.dtype() != DType::String && type.dtype != DType::String;
  if (takes_model_type(spec) && convertible && tensor.dtype() != type.dtype) {
    return convert(tensor, type.dtype);
  }
  return tensor;
}

NamedValues read_directory(const Graph& graph, const std::string& directory, int64_t max_memory) {
  std::vector<Type> types;
  std::vector<ValueId> ids = all_inputs(graph);
  for (ValueId v : ids) types.push_back(graph.value(v).type);
  std::vector<RuntimeValue> values = read_value_directory(directory, "input", types, max_memory);
  if (values.empty()) fail(ErrorKind::BadInput, "{}: there is no input_0.pb", directory);
  NamedValues named;
  for (size_t k = 0; k < values.size(); ++k) named.emplace_back(graph.name_of(ids[k]), values[k]);
  return named;
}

struct GivenInput {
  std::string name;  // empty: not said
  std::string spec;
};

// Names may hold '=' themselves, files too: an input's name decides first, then a file that is
// there.
GivenInput split_input(const Graph& graph, const std::string& text) {
  std::string best;
  for (const std::string& name : names_of(graph, all_inputs(graph))) {
    if (text.starts_with(name + "=") && name.size() > best.size()) best = name;
  }
  if (!best.empty()) return {best, text.substr(best.size() + 1)};
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || file_exists(text) || is_inline(text)) {
    return {"", text};
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void check_shape(const Graph& graph, const ShapeBindings& bindings, const std::string& name,
                 const RuntimeValue& value) {
  if (!value.is_tensor()) return;
  ValueId v = find_input(graph, name);
  Type wanted = bindings.apply(graph, v);
  if (wanted.shape && !compatible(Type::tensor(wanted.dtype, wanted.shape),
                                  Type::tensor(wanted.dtype, to_shape(value.tensor.dims())))) {
    fail(ErrorKind::BadInput, "input '{}' is {}, got {}", name, wanted.to_string(),
         value.tensor.type_text());
  }
}

}  // namespace

Type ShapeBindings::apply(const Graph& graph, ValueId v) const {
  Type type = graph.value(v).type;
  if (auto it = shapes.find(graph.name_of(v)); it != shapes.end()) {
    type.shape = to_shape(it->second);
    return type;
  }
  if (!type.shape) return type;
  for (Dim& d : *type.shape) {
    if (!d.is_symbolic()) continue;
    if (auto it = dims.find(d.to_string()); it != dims.end()) d = Dim(it->second);
  }
  return type;
}

ShapeBindings parse_bindings(const Graph& graph, const InputOptions& options) {
  ShapeBindings bindings;
  for (const std::string& text : options.dims) bind_dim(graph, text, bindings);
  for (const std::string& text : options.shapes) {
    auto [name, shape] = parse_assignment("--shape", text);
    ValueId v = need_input(graph, name, "--shape");
    Type given = Type::tensor(graph.value(v).type.dtype, to_shape(parse_shape(shape)));
    if (!compatible(bindings.apply(graph, v), given)) {
      fail(ErrorKind::BadInput, "--shape: input '{}' is {}, not {}", name,
           bindings.apply(graph, v).to_string(), to_string(*given.shape));
    }
    bindings.shapes[name] = to_dims(*given.shape);
  }
  return bindings;
}

NamedValues read_unnamed(const Graph& graph, const std::string& spec, int64_t max_memory) {
  if (is_folder(spec)) return read_directory(graph, spec, max_memory);
  bool single = graph.inputs.size() == 1;
  DType dtype = single ? graph.value(graph.inputs[0]).type.dtype : DType::Undefined;
  NamedTensors arrays = read_arrays(spec, read_options(max_memory, dtype));
  bool any_named = std::any_of(arrays.begin(), arrays.end(), [&](const NamedTensor& a) {
    return find_input(graph, a.name) != no_value;
  });
  if (!any_named && single && spec != "-" && (arrays.size() == 1 || takes_model_type(spec))) {
    Tensor only = read_array(spec, read_options(max_memory, dtype)).tensor;
    return {
        {graph.name_of(graph.inputs[0]), fitted(graph, graph.inputs[0], spec, std::move(only))}};
  }
  if (!any_named && single && arrays.size() == 1) {
    return {{graph.name_of(graph.inputs[0]), arrays[0].tensor}};
  }
  NamedValues named;
  for (NamedTensor& a : arrays) {
    if (a.name.empty()) {
      fail(ErrorKind::BadInput, "{}: say which input this is: -i NAME={}; the model has {}", spec,
           spec, name_list(names_of(graph, all_inputs(graph))));
    }
    ValueId v = need_input(graph, a.name, spec);
    named.emplace_back(a.name, fitted(graph, v, spec, std::move(a.tensor)));
  }
  return named;
}

static NamedValues read_input(const Graph& graph, const std::string& text,
                              const ShapeBindings& bindings, int64_t max_memory) {
  GivenInput given = split_input(graph, text);
  NamedValues found;
  if (given.name.empty()) {
    found = read_unnamed(graph, given.spec, max_memory);
  } else {
    ValueId v = need_input(graph, given.name, model_name(graph));
    const Type& type = graph.value(v).type;
    Tensor tensor = read_array(given.spec, read_options(max_memory, type.dtype)).tensor;
    found.emplace_back(given.name, fitted(graph, v, given.spec, std::move(tensor)));
  }
  for (const auto& [name, value] : found) check_shape(graph, bindings, name, value);
  return found;
}

static NamedValues read_inputs(const Graph& graph, const InputOptions& options,
                               const ShapeBindings& bindings, int64_t max_memory) {
  NamedValues values;
  for (const std::string& text : options.inputs) {
    std::string place = "-i " + (text.size() > 60 ? text.substr(0, 57) + "..." : text);
    NamedValues found =
        in_context(place, [&] { return read_input(graph, text, bindings, max_memory); });
    for (auto& [name, value] : found) {
      for (const auto& earlier : values) {
        if (earlier.first == name) fail(ErrorKind::Usage, "input '{}' is given twice", name);
      }
      values.emplace_back(name, std::move(value));
    }
  }
  return values;
}

NamedValues gather_inputs(const Graph& graph, const InputOptions& options,
                          const CommonOptions& common, const std::vector<std::string>& needed) {
  ShapeBindings bindings = parse_bindings(graph, options);
  RandomInputs random(graph, options.ranges, common.seed, common.max_memory);
  NamedValues values = read_inputs(graph, options, bindings, common.max_memory);
  for (const auto& [name, value] : values) {
    if (value.is_tensor())
      random.learn_dims(graph.value(find_input(graph, name)).type, value.tensor);
  }
  std::erase_if(values, [&](const auto& v) {
    bool overrides = std::find(graph.inputs.begin(), graph.inputs.end(),
                               find_input(graph, v.first)) == graph.inputs.end();
    return !overrides && std::find(needed.begin(), needed.end(), v.first) == needed.end();
  });
  for (const std::string& name : needed) {
    bool given =
        std::any_of(values.begin(), values.end(), [&](const auto& v) { return v.first == name; });
    if (given) continue;
    Type type = bindings.apply(graph, find_input(graph, name));
    if (!options.random && type.kind != Type::Kind::Optional) {
      fail(ErrorKind::BadInput, "{}: input '{}' ({}) is not given; -i {}=FILE does, or --random",
           model_name(graph), name, type.to_string(), name);
    }
    if (!options.random) continue;
    in_context(model_name(graph), [&] { values.emplace_back(name, random.make(name, type)); });
  }
  return values;
}

}  // namespace onnxrun::tool
