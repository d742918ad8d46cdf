// Data sets as named arrays, and the batches that training takes from them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sets/augment.h"
#include "sets/read_ahead.h"
#include "sets/sample_reader.h"
#include "tensor/tensor.h"

namespace onnxrun {

// One array of a data set.
struct DataArray {
  std::string name;
  Tensor values;
  // The axis that counts the samples, and that a batch is gathered along; may be negative.
  int64_t batch_axis = 0;
  // A batch of one sample loses that axis, for models whose input has the sample's own rank.
  bool drop_single = false;
  // In place of `values`, for an array that stays in its file; its first axis counts the samples.
  std::shared_ptr<const SampleReader> reader = {};

  DType dtype() const { return reader ? reader->dtype() : values.dtype(); }
  const Dims& dims() const { return reader ? reader->dims() : values.dims(); }
  int64_t rank() const { return static_cast<int64_t>(dims().size()); }
  std::string type_text() const;
};

// Arrays with equally many samples. A handle: copies and parts share the arrays.
class Dataset {
 public:
  Dataset() = default;
  // With `prebatched`, the first axis of every array counts batches, each as the model takes it;
  // batch_axis is not looked at. Throws BadInput naming the arrays whose lengths differ, an array
  // without axes, a name that stands twice, or an empty data set.
  explicit Dataset(std::vector<DataArray> arrays, bool prebatched = false);

  // Samples of this part (batches, if prebatched).
  int64_t samples() const { return samples_; }
  bool prebatched() const { return prebatched_; }
  const std::vector<DataArray>& arrays() const { return *arrays_; }

  // The part with these samples, in this order; each index is in [0, samples()).
  Dataset subset(std::span<const int64_t> samples) const;

  // The two parts of a split: second has round(fraction * samples()), first the others, both in the
  // order of this set and at least one sample each. With a seed the samples of the second part are
  // drawn at random (the same ones on every machine), without one they are the last ones.
  // Throws Usage unless 0 < fraction < 1, BadInput if there are fewer than two samples.
  std::pair<Dataset, Dataset> split(double fraction, std::optional<uint64_t> seed) const;

  // Of `folds` parts that differ by one sample at most, second is number `k` (from 0) and first the
  // others; the seed shuffles the samples before. Throws Usage unless 0 <= k < folds, BadInput if
  // there are fewer samples than folds.
  std::pair<Dataset, Dataset> fold(int64_t k, int64_t folds, uint64_t seed) const;

  // The shape of array `a` for a batch of `size` samples.
  Dims batch_dims(size_t a, int64_t size) const;
  // Copies samples of array `a` into `out`, which is batch_dims(a, samples.size()) of its type.
  // Throws BadInput where a file is not what it was.
  void gather(size_t a, std::span<const int64_t> samples, Tensor& out) const;

 private:
  std::shared_ptr<const std::vector<DataArray>> arrays_ =
      std::make_shared<const std::vector<DataArray>>();
  std::shared_ptr<const std::vector<int64_t>> chosen_;       // null: all of them
  std::shared_ptr<const std::vector<size_t>> sample_bytes_;  // by array
  int64_t samples_ = 0;
  bool prebatched_ = false;
};

struct BatchOptions {
  int64_t batch_size = 32;  // 1 for prebatched data, whatever stands here
  bool shuffle = true;
  uint64_t seed = 0;
  bool drop_last = false;  // leaves out the last batch of an epoch if it is smaller
  // What happens to pictures, anew in every epoch. Their arrays count samples along the first axis.
  std::vector<Augment> augment = {};
};

// The batches of one epoch after another. The order of an epoch is a function of seed and epoch
// alone (shuffle() over Philox(seed, epoch), from base/random.h), so training resumes at any epoch
// and batch without replay. Where an array stays in its file, the next batches are read while one
// is used. One thread at a time.
class Batches {
 public:
  // Throws Usage for a batch size below 1, BadInput if no batch would be left. Starts at epoch 0.
  Batches(Dataset data, const BatchOptions& options);

  const Dataset& data() const { return data_; }
  // Batches in an epoch.
  int64_t count() const { return count_; }
  // Samples in batch `k`.
  int64_t size_of(int64_t k) const;

  void start_epoch(int64_t epoch);

  // The tensors of batch `k`, 0 <= k < count(), in the order of data().arrays(). Their buffers
  // belong to this object and are filled anew by the next call: clone what has to last.
  // Throws BadInput where a file is not what it was.
  std::span<const Tensor> batch(int64_t k);

  // How long batch() has waited for files.
  double waited() const { return waited_; }

 private:
  std::vector<Tensor>& buffers(int64_t size);
  std::span<const int64_t> samples_of(int64_t k) const;
  std::span<const Tensor> streamed(int64_t k);
  void read_from(int64_t k);

  Dataset data_;
  BatchOptions options_;
  std::vector<int64_t> order_;
  int64_t count_ = 0;
  uint64_t epoch_ = 0;
  std::vector<Tensor> full_, last_;
  std::unique_ptr<ReadAhead> reader_;  // where arrays stay in their files
  double waited_ = 0;
};

}  // namespace onnxrun
