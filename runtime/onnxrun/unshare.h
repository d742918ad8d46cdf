// Stored tensors that stand for several of the net that was exported.
#pragma once

#include <cstdint>
#include <string>

namespace onnxrun {

// Exporters store equal tensors once, and a fresh net has many: all scales of its norms are ones.
// What each use of such a tensor trains:
enum class Unshare : uint8_t {
  // One stored tensor is one parameter. Only uses in different roles are told apart: what a norm
  // multiplies by and what it keeps as a running statistic.
  Never,
  // As the net that was exported had it, where the file shows it. PyTorch's default exporter keeps
  // the first name of the tensors it merges, and the last of those that the net ties; split is what
  // has at most 1,024 elements, is the first of its group in the file's graph_signature, and is
  // used in several modules, but no embedding that is also a product's matrix. Its legacy exporter
  // leaves an Identity node for each tensor that it merged, and none for tied ones. Biases of zeros
  // that PyTorch's default exporter left out are added.
  Auto,
  // Every module that uses the tensor gets one of its own, tied ones too.
  Always,
};

// A tensor that was added.
struct UnsharedTensor {
  std::string name;
  std::string from;  // the stored tensor that it is a copy of; "" for a bias of zeros
};

}  // namespace onnxrun
