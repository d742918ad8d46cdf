#include "sets/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "base/seconds.h"

namespace onnxrun {

namespace {

// Epochs take the streams from 0 on; the split has one that they never reach.
constexpr uint64_t split_stream = ~uint64_t{0};

int64_t product(std::span<const int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

int64_t samples_of(const DataArray& a) { return a.dims()[static_cast<size_t>(a.batch_axis)]; }

std::string describe(const DataArray& a) {
  return fmt::format("'{}' is {} with {} along axis {}", a.name, a.type_text(), samples_of(a),
                     a.batch_axis);
}

// Copies elements [from_at, from_at + count) to `to_at`, whatever their size.
void copy_run(const Tensor& from, int64_t from_at, Tensor& to, int64_t to_at, int64_t count) {
  int bits = bits_of(from.dtype());
  if (from.dtype() == DType::String) {
    std::copy_n(from.data<std::string>() + from_at, count, to.data<std::string>() + to_at);
  } else if (bits < 8) {
    for (int64_t i = 0; i < count; ++i) {
      set_packed_bits(to.raw(), to_at + i, bits, packed_bits(from.raw(), from_at + i, bits));
    }
  } else {
    int64_t width = bits / 8;
    std::memcpy(to.raw() + to_at * width, from.raw() + from_at * width,
                static_cast<size_t>(count * width));
  }
}

// 0 for samples that do not lie together, and those that are more than bytes.
size_t bytes_of_sample(const DataArray& a) {
  bool plain = !a.reader && a.batch_axis == 0 && bits_of(a.dtype()) >= 8 &&
               bits_of(a.dtype()) % 8 == 0 && a.dtype() != DType::String;
  return plain ? static_cast<size_t>(bytes_of(a.dtype(), product(std::span(a.dims()).subspan(1))))
               : 0;
}

std::vector<Tensor> make_buffers(const Dataset& data, int64_t size) {
  std::vector<Tensor> tensors;
  for (size_t a = 0; a < data.arrays().size(); ++a) {
    tensors.emplace_back(data.arrays()[a].dtype(), data.batch_dims(a, size));
  }
  return tensors;
}

// So many batches that waits of the reader do not show, in little memory.
int64_t slots_for(const Dataset& data, int64_t size) {
  constexpr int64_t most = 64, most_bytes = 64 << 20;
  int64_t bytes = 1;
  for (size_t a = 0; a < data.arrays().size(); ++a) {
    int64_t each = bytes_of(data.arrays()[a].dtype(), element_count(data.batch_dims(a, size)));
    if (__builtin_add_overflow(bytes, each, &bytes)) return 2;
  }
  return std::clamp<int64_t>(most_bytes / bytes, 2, most);
}

void fill(const Dataset& data, const BatchOptions& options, uint64_t epoch,
          std::span<const int64_t> samples, std::vector<Tensor>& tensors) {
  for (size_t a = 0; a < tensors.size(); ++a) data.gather(a, samples, tensors[a]);
  for (const Augment& augment : options.augment) {
    augment_batch(augment, samples, options.seed, epoch, tensors[augment.array]);
  }
}

}  // namespace

std::string DataArray::type_text() const {
  return fmt::format("{}{}", to_string(dtype()), to_string(dims()));
}

Dataset::Dataset(std::vector<DataArray> arrays, bool prebatched) : prebatched_(prebatched) {
  if (arrays.empty()) fail(ErrorKind::BadInput, "the data set has no arrays");
  std::set<std::string> names;
  for (DataArray& a : arrays) {
    if (!names.insert(a.name).second) {
      fail(ErrorKind::BadInput, "the data set has two arrays '{}'", a.name);
    }
    if (a.rank() == 0) {
      fail(ErrorKind::BadInput, "array '{}' is a single value; an axis has to count the samples",
           a.name);
    }
    if (prebatched) {
      a.batch_axis = 0;
      a.drop_single = true;
    }
    try {
      a.batch_axis = normalize_axis(a.batch_axis, a.rank());
    } catch (const Error& e) {
      throw e.in(fmt::format("the batch axis of array '{}'", a.name));
    }
    if (a.reader && a.batch_axis != 0) {
      fail(ErrorKind::BadInput, "array '{}' stays in its file: its first axis counts the samples",
           a.name);
    }
    if (samples_of(a) != samples_of(arrays.front())) {
      fail(ErrorKind::BadInput, "the numbers of {} differ: {}, {}",
           prebatched ? "batches" : "samples", describe(arrays.front()), describe(a));
    }
  }
  samples_ = samples_of(arrays.front());
  if (samples_ == 0) fail(ErrorKind::BadInput, "the data set has no samples");
  std::vector<size_t> bytes;
  for (const DataArray& a : arrays) bytes.push_back(bytes_of_sample(a));
  sample_bytes_ = std::make_shared<const std::vector<size_t>>(std::move(bytes));
  arrays_ = std::make_shared<const std::vector<DataArray>>(std::move(arrays));
}

Dataset Dataset::subset(std::span<const int64_t> samples) const {
  std::vector<int64_t> chosen(samples.begin(), samples.end());
  if (chosen_) {
    for (int64_t& i : chosen) i = (*chosen_)[static_cast<size_t>(i)];
  }
  Dataset part = *this;
  part.samples_ = static_cast<int64_t>(chosen.size());
  part.chosen_ = std::make_shared<const std::vector<int64_t>>(std::move(chosen));
  return part;
}

std::pair<Dataset, Dataset> Dataset::split(double fraction, std::optional<uint64_t> seed) const {
  if (!(fraction > 0 && fraction < 1)) {
    fail(ErrorKind::Usage, "a split of {} leaves a part empty; give a fraction between 0 and 1",
         fraction);
  }
  if (samples_ < 2) fail(ErrorKind::BadInput, "{} sample cannot be split", samples_);
  std::vector<int64_t> order(static_cast<size_t>(samples_));
  std::iota(order.begin(), order.end(), 0);
  if (seed) shuffle(std::span(order), Philox(*seed, split_stream));
  auto wanted = static_cast<int64_t>(std::llround(fraction * static_cast<double>(samples_)));
  auto middle = order.end() - std::clamp<int64_t>(wanted, 1, samples_ - 1);
  std::sort(order.begin(), middle);
  std::sort(middle, order.end());
  return {subset({order.begin(), middle}), subset({middle, order.end()})};
}

std::pair<Dataset, Dataset> Dataset::fold(int64_t k, int64_t folds, uint64_t seed) const {
  if (k < 0 || k >= folds) fail(ErrorKind::Usage, "there is no fold {} of {}", k + 1, folds);
  if (samples_ < std::max<int64_t>(folds, 2)) {
    fail(ErrorKind::BadInput, "{} samples do not make {} folds", samples_, folds);
  }
  std::vector<int64_t> order(static_cast<size_t>(samples_));
  std::iota(order.begin(), order.end(), 0);
  shuffle(std::span(order), Philox(seed, split_stream));
  int64_t each = samples_ / folds, longer = samples_ % folds;
  auto begin = order.begin() + k * each + std::min(k, longer);
  auto end = begin + each + (k < longer ? 1 : 0);
  std::vector<int64_t> chosen(begin, end);
  order.erase(begin, end);
  std::sort(chosen.begin(), chosen.end());
  std::sort(order.begin(), order.end());
  return {subset(order), subset(chosen)};
}

Dims Dataset::batch_dims(size_t a, int64_t size) const {
  const DataArray& array = (*arrays_)[a];
  Dims dims = array.dims();
  auto axis = dims.begin() + array.batch_axis;
  *axis = size;
  if (size == 1 && array.drop_single) dims.erase(axis);
  return dims;
}

void Dataset::gather(size_t a, std::span<const int64_t> samples, Tensor& out) const {
  const DataArray& array = (*arrays_)[a];
  if (array.reader) {
    if (!chosen_) return array.reader->read(samples, out);
    std::vector<int64_t> there;
    for (int64_t sample : samples) there.push_back((*chosen_)[static_cast<size_t>(sample)]);
    return array.reader->read(there, out);
  }
  auto size = static_cast<int64_t>(samples.size());
  auto there = [&](int64_t b) {
    int64_t sample = samples[static_cast<size_t>(b)];
    return chosen_ ? (*chosen_)[static_cast<size_t>(sample)] : sample;
  };
  if (const size_t bytes = (*sample_bytes_)[a]) {
    const std::byte* from = array.values.raw();
    std::byte* to = out.raw();
    for (int64_t b = 0; b < size; ++b, to += bytes) {
      std::memcpy(to, from + static_cast<size_t>(there(b)) * bytes, bytes);
    }
    return;
  }
  std::span<const int64_t> dims = array.values.dims();
  auto axis = static_cast<size_t>(array.batch_axis);
  int64_t outer = product(dims.first(axis)), inner = product(dims.subspan(axis + 1));
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t b = 0; b < size; ++b) {
      int64_t sample = there(b);
      copy_run(array.values, (o * dims[axis] + sample) * inner, out, (o * size + b) * inner, inner);
    }
  }
}

Batches::Batches(Dataset data, const BatchOptions& options)
    : data_(std::move(data)), options_(options) {
  if (options_.batch_size < 1) {
    fail(ErrorKind::Usage, "a batch size of {} is too small", options_.batch_size);
  }
  if (data_.prebatched()) options_.batch_size = 1;
  bool streams = std::any_of(data_.arrays().begin(), data_.arrays().end(),
                             [](const DataArray& a) { return a.reader != nullptr; });
  if (streams) reader_ = std::make_unique<ReadAhead>(slots_for(data_, options_.batch_size));
  count_ = data_.samples() / options_.batch_size;
  if (!options_.drop_last && data_.samples() % options_.batch_size != 0) ++count_;
  if (count_ == 0) {
    fail(ErrorKind::BadInput,
         "{} samples do not fill one batch of {}, and smaller ones are dropped", data_.samples(),
         options_.batch_size);
  }
  start_epoch(0);
}

int64_t Batches::size_of(int64_t k) const {
  return std::min(options_.batch_size, data_.samples() - k * options_.batch_size);
}

void Batches::start_epoch(int64_t epoch) {
  epoch_ = static_cast<uint64_t>(epoch);
  if (options_.shuffle || order_.empty()) {
    order_.resize(static_cast<size_t>(data_.samples()));
    std::iota(order_.begin(), order_.end(), 0);
  }
  if (options_.shuffle) shuffle(std::span(order_), Philox(options_.seed, epoch_));
  if (reader_) read_from(0);
}

std::vector<Tensor>& Batches::buffers(int64_t size) {
  std::vector<Tensor>& tensors = size == options_.batch_size ? full_ : last_;
  if (tensors.empty()) tensors = make_buffers(data_, size);
  return tensors;
}

std::span<const int64_t> Batches::samples_of(int64_t k) const {
  return std::span(order_).subspan(static_cast<size_t>(k * options_.batch_size),
                                   static_cast<size_t>(size_of(k)));
}

std::span<const Tensor> Batches::batch(int64_t k) {
  if (reader_) return streamed(k);
  std::vector<Tensor>& tensors = buffers(size_of(k));
  fill(data_, options_, epoch_, samples_of(k), tensors);
  return tensors;
}

std::span<const Tensor> Batches::streamed(int64_t k) {
  double began = seconds_now();
  if (reader_->expected() != k) read_from(k);
  std::span<const Tensor> tensors = reader_->take(k);
  waited_ += seconds_now() - began;
  return tensors;
}

// The thread keeps what it needs, so this object may move meanwhile.
void Batches::read_from(int64_t k) {
  auto order = std::make_shared<const std::vector<int64_t>>(order_);
  reader_->start(k, count(),
                 [data = data_, options = options_, epoch = epoch_, order](
                     int64_t batch, std::vector<Tensor>& tensors) {
                   int64_t first = batch * options.batch_size;
                   int64_t size = std::min(options.batch_size, data.samples() - first);
                   std::span<const int64_t> samples = std::span(*order).subspan(
                       static_cast<size_t>(first), static_cast<size_t>(size));
                   bool fits = !tensors.empty() && tensors[0].dims() == data.batch_dims(0, size);
                   if (!fits) tensors = make_buffers(data, size);
                   fill(data, options, epoch, samples, tensors);
                 });
}

}  // namespace onnxrun
