// How the arrays of a data set feed a model.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "onnxrun/model.h"
#include "onnxrun/named_tensor.h"

namespace onnxrun {

// Unless said otherwise here, the array of an input's name feeds it, and the array target, y or
// label that feeds no input is the target of the one loss. Arrays are converted to the element
// types that the model declares; samples with as many numbers as the input asks for are taken in
// its shape where only axes of length 1 or a flat shape make the difference.
struct FeedOptions {
  std::map<std::string, std::string> inputs;  // the array, by the input it feeds
  // Each "[OUTPUT=]ARRAY" or "[OUTPUT=]FILE" (formats as open_arrays() takes them). Of several
  // outputs that losses read, the array of an output's name is its target unless said here. A
  // target of a loss graph goes by the name it has there.
  std::vector<std::string> targets;
  // The array with a weight for each sample; its part of the losses is multiplied by it.
  std::string sample_weights;
  // The axis that counts the samples, by input, "target" or the target's array. By default the one
  // that the model names for the batch, else the first.
  std::map<std::string, int64_t> batch_axes;
  std::map<std::string, double> scale;  // a factor, by input
  std::map<std::string, Dims> reshape;  // the shape of a sample, by input
  // Inputs whose features get mean 0 and deviation 1 over the samples of the training part.
  std::vector<std::string> standardize;
  // Inputs are prepared as the model remembers it of its training (Preparation::of()).
  bool as_trained = false;
  // The first axis of every array counts batches, each as the model takes it.
  bool prebatched = false;
  // Samples in a batch; by default what the model's inputs demand, else 32.
  std::optional<int64_t> batch_size;
  // Arrays for inputs that stay in their files, each "NAME=FILE", and are read batch by batch, the
  // next ones while one is used: .npy (of numbers, in C's order), idx and .csv files
  // ("x=table.csv:a,b..e") that are not compressed. They take 64 MiB of memory, or that of two
  // batches, and eight bytes a row of a table; results are those of the same array in memory.
  std::vector<std::string> streams;
  // Bytes that files read on the way may take.
  int64_t max_memory = default_max_memory();
};

// The arrays of data files, each "[NAME=]FILE[:key]": .npy, .npz, .csv, .tsv, .idx and -ubyte (and
// their .gz), .safetensors, pictures, TensorProto .pb, .raw:f32:1x3x224x224, inline
// "x=[[0,1],[1,0]]". A file whose arrays have no names of their own needs one. Throws BadInput
// naming the file, Limit where more than `max_memory` bytes would be taken.
NamedTensors open_arrays(const std::vector<std::string>& files,
                         int64_t max_memory = default_max_memory());

}  // namespace onnxrun
