#include "sets/dataset.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/random.h"

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

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
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
  std::span<const int64_t> dims = array.values.dims();
  auto axis = static_cast<size_t>(array.batch_axis);
  int64_t outer = product(dims.first(axis)), inner = product(dims.subspan(axis + 1));
  auto size = static_cast<int64_t>(samples.size());
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t b = 0; b < size; ++b) {
      int64_t sample = samples[static_cast<size_t>(b)];
      if (chosen_) sample = (*chosen_)[static_cast<size_t>(sample)];
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
  streams_ = std::any_of(data_.arrays().begin(), data_.arrays().end(),
                         [](const DataArray& a) { return a.reader != nullptr; });
  if (count() == 0) {
    fail(ErrorKind::BadInput,
         "{} samples do not fill one batch of {}, and smaller ones are dropped", data_.samples(),
         options_.batch_size);
  }
  start_epoch(0);
}

int64_t Batches::count() const {
  int64_t whole = data_.samples() / options_.batch_size;
  return whole + (!options_.drop_last && data_.samples() % options_.batch_size != 0);
}

int64_t Batches::size_of(int64_t k) const {
  return std::min(options_.batch_size, data_.samples() - k * options_.batch_size);
}

void Batches::start_epoch(int64_t epoch) {
  if (reading_.valid()) reading_.wait();
  reading_ = {};
  ahead_ = -1;
  epoch_ = static_cast<uint64_t>(epoch);
  order_.resize(static_cast<size_t>(data_.samples()));
  std::iota(order_.begin(), order_.end(), 0);
  if (options_.shuffle) shuffle(std::span(order_), Philox(options_.seed, epoch_));
}

std::vector<Tensor>& Batches::buffers(Buffers& from, int64_t size) {
  std::vector<Tensor>& tensors = size == options_.batch_size ? from.full : from.last;
  if (tensors.empty()) {
    for (size_t a = 0; a < data_.arrays().size(); ++a) {
      tensors.emplace_back(data_.arrays()[a].dtype(), data_.batch_dims(a, size));
    }
  }
  return tensors;
}

std::span<const int64_t> Batches::samples_of(int64_t k) const {
  return std::span(order_).subspan(static_cast<size_t>(k * options_.batch_size),
                                   static_cast<size_t>(size_of(k)));
}

std::span<const Tensor> Batches::batch(int64_t k) {
  if (streams_) return streamed(k);
  std::vector<Tensor>& tensors = buffers(now_, size_of(k));
  fill(data_, options_, epoch_, samples_of(k), tensors);
  return tensors;
}

std::span<const Tensor> Batches::streamed(int64_t k) {
  double began = now();
  if (!reading_.valid() || ahead_ != k) read_ahead(k);
  reading_.get();
  ahead_ = -1;
  waited_ += now() - began;
  std::swap(now_, next_);
  if (k + 1 < count()) read_ahead(k + 1);
  return buffers(now_, size_of(k));
}

// The thread keeps what it needs, so this object may move meanwhile.
void Batches::read_ahead(int64_t k) {
  if (reading_.valid()) reading_.wait();
  std::span<const int64_t> samples = samples_of(k);
  ahead_ = k;
  reading_ =
      std::async(std::launch::async, [data = data_, options = options_, epoch = epoch_,
                                      chosen = std::vector<int64_t>(samples.begin(), samples.end()),
                                      tensors = buffers(next_, size_of(k))]() mutable {
        fill(data, options, epoch, chosen, tensors);
      });
}

}  // namespace onnxrun
