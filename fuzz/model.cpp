// Any bytes as a model: import, shape inference, folding, the choice of parameters, lowering.
#include "guarded.h"

using namespace onnxrun;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  fuzz::guarded([&] {
    const Model model = Model::from_bytes(std::move(bytes), fuzz::load_options());
    for (const InitializerInfo& i : model.initializers()) static_cast<void>(i);
    SessionOptions options;
    options.max_memory = fuzz::most_memory;
    options.timeout_seconds = 2.0;
    static_cast<void>(Session(model, options).input_names());
  });
  return 0;
}
