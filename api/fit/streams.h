// Inputs whose arrays stay in their files.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fit/standardizer.h"
#include "onnxrun/preparation.h"
#include "sets/sample_reader.h"

namespace onnxrun {

struct NamedSamples {
  std::string name;
  std::shared_ptr<const SampleReader> samples;
};

// The arrays of FeedOptions::streams. Throws BadInput for a file that cannot be streamed.
std::vector<NamedSamples> open_streams(const std::vector<std::string>& files);

// The samples in another shape, of as many elements, and type, prepared on the way.
std::shared_ptr<const SampleReader> prepared_samples(std::shared_ptr<const SampleReader> from,
                                                     Dims dims, DType dtype,
                                                     std::optional<PreparedInput> preparation);

}  // namespace onnxrun
