// Arrays of data sets that stay in their files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "formats/array_place.h"
#include "tensor/byte_source.h"
#include "tensor/tensor.h"

namespace onnxrun {

// An array whose samples, along its first axis, are read when they are asked for. Reads from
// several threads are safe.
class SampleReader {
 public:
  SampleReader(DType dtype, Dims dims) : dtype_(dtype), dims_(std::move(dims)) {}
  virtual ~SampleReader() = default;
  SampleReader(const SampleReader&) = delete;
  SampleReader& operator=(const SampleReader&) = delete;

  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }

  // Copies these samples, one after the other, into `out`, which has their type and number of
  // elements. Throws BadInput if the file is not what it was.
  virtual void read(std::span<const int64_t> samples, Tensor& out) const = 0;

 private:
  DType dtype_;
  Dims dims_;
};

// The samples of an array of a file. Throws BadInput for one without axes or one that does not end
// where the file does.
std::shared_ptr<const SampleReader> samples_of_file(DataFile file, ArrayPlace place);

// The same for "x.npy", "x.idx" (or -ubyte), "x.csv" and "x.tsv", which may be followed by a
// selection of columns ("x.csv:a,c..e"); null for other files, and for .npy files of strings or in
// Fortran's order, whose samples do not lie together. Of a table one array [rows, columns], of a
// single selected column [rows]. Throws BadInput for a file that is unreadable or malformed.
std::shared_ptr<const SampleReader> open_samples(const std::string& spec);

// Calls visit(part, first) for all samples in their order, a few megabytes at a time.
void for_each_part(const SampleReader& samples,
                   const std::function<void(const Tensor& part, int64_t first)>& visit);

}  // namespace onnxrun
