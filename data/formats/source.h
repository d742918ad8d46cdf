// The one door to data files: arrays in by any of the formats, arrays out.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tensor/byte_source.h"
#include "tensor/named_tensor.h"

namespace onnxrun {

// Formats that live elsewhere: TensorProto needs Protobuf, which this layer does not know.
struct ProtoFormat {
  // The tensor of a .pb file.
  std::function<NamedTensor(const std::string& path)> read;
  // The bytes of the .pb file of a tensor.
  std::function<std::string(const NamedTensor&)> to_bytes;
};

struct ReadOptions {
  // The element type of inline values that name none, and of numbers in a table on standard input;
  // Undefined: the values decide.
  DType dtype = DType::Undefined;
  // Memory for everything that is read; default: the machine's.
  std::optional<int64_t> max_bytes;
  ProtoFormat proto;
};

// "FILE:key" cut in two as read_arrays() does it: an existing file decides, else the first
// extension of a format; the key may be "".
std::pair<std::string, std::string> split_path_and_key(const std::string& spec);

// The arrays that `spec` names, in the order of the file:
//
//     x.npy                      one array without a name
//     x.npz  x.npz:key           all arrays, or one
//     x.safetensors[:key]        the same
//     x.csv  x.csv:a,c..e        .tsv too; see read_array for one array of all columns
//     t-images-idx3-ubyte, x.idx one array without a name
//     x.png .jpg .bmp .webp ...  uint8 [height, width, channels]
//     x.raw:f32:1x3x224x224      .bin too
//     x.pb                       by options.proto
//     a directory                input_0.pb, input_1.pb, ... (test data of ONNX)
//     [[0,1],[1,0]]  f64:[1,2]   inline
//     -                          standard input: npy, npz, safetensors, a picture, inline or csv
//
// .npy, .csv, .tsv, .idx and ubyte files may be compressed (.gz). A table with a header gives one
// array [rows] a column; without one, or with a selection of several columns, one array [rows,
// columns].
//
// Throws BadInput with the file's name for what is missing, unreadable or malformed, Limit for what
// is too large.
NamedTensors read_arrays(const std::string& spec, const ReadOptions& options = {});

// Exactly one array. A table is one array [rows, columns] of all columns that are selected, or
// [rows] of a single selected column. Throws BadInput, naming the arrays there are, if a file has
// several.
NamedTensor read_array(const std::string& spec, const ReadOptions& options = {});

// Writes `path` by its extension: .npz, .npy (one array), .json, .csv, .safetensors, .pb (one
// array). A directory, existing or named with a slash at its end, gets output_0.pb, output_1.pb,
// ... Every file appears whole or not at all (AtomicFile). Throws CannotWrite; Usage for an
// extension that is not known or several arrays where one fits.
void write_arrays(const std::string& path, const NamedTensors& arrays,
                  const ProtoFormat& proto = {});

}  // namespace onnxrun
