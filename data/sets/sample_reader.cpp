#include "sets/sample_reader.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "formats/idx.h"
#include "formats/npy.h"
#include "formats/source.h"
#include "sets/table_reader.h"

namespace onnxrun {

namespace {

class FileSamples final : public SampleReader {
 public:
  FileSamples(DataFile file, ArrayPlace place)
      : SampleReader(place.dtype, place.dims),
        file_(std::move(file)),
        offset_(place.offset),
        order_(place.order) {
    int64_t elements = element_count(Dims(place.dims.begin() + 1, place.dims.end()));
    bytes_ = bytes_of(place.dtype, elements);
  }

  void read(std::span<const int64_t> samples, Tensor& out) const override {
    std::byte* to = out.raw();
    for (size_t k = 0; k < samples.size();) {
      size_t run = 1;
      while (k + run < samples.size() && samples[k + run] == samples[k] + static_cast<int64_t>(run))
        ++run;
      size_t length = run * static_cast<size_t>(bytes_);
      file_.read_at(offset_ + samples[k] * bytes_, {to, length});
      to += length;
      k += run;
    }
    as_native(out, order_);
  }

 private:
  DataFile file_;
  int64_t offset_, bytes_ = 0;
  std::endian order_;
};

bool ends_in(std::string path, std::initializer_list<std::string_view> endings) {
  std::transform(path.begin(), path.end(), path.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return path.ends_with(ending); });
}

}  // namespace

std::shared_ptr<const SampleReader> samples_of_file(DataFile file, ArrayPlace place) {
  if (place.dims.empty()) {
    fail(ErrorKind::BadInput, "a single value has no samples; an axis has to count them");
  }
  int64_t bytes = bytes_of(place.dtype, element_count(place.dims)), end = 0;
  if (__builtin_add_overflow(place.offset, bytes, &end) || end != file.size()) {
    fail(ErrorKind::BadInput, "{}{} needs {} bytes, but {} are there", to_string(place.dtype),
         to_string(place.dims), bytes, file.size() - place.offset);
  }
  return std::make_shared<FileSamples>(std::move(file), std::move(place));
}

void for_each_part(const SampleReader& samples,
                   const std::function<void(const Tensor& part, int64_t first)>& visit) {
  constexpr int64_t part_bytes = 4 << 20;
  int64_t all = samples.dims()[0];
  if (all == 0) return;
  int64_t each = bytes_of(samples.dtype(), element_count(samples.dims())) / all;
  int64_t count = std::clamp<int64_t>(part_bytes / std::max<int64_t>(each, 1), 1, all);
  std::vector<int64_t> numbers;
  for (int64_t first = 0; first < all; first += count) {
    numbers.resize(static_cast<size_t>(std::min(count, all - first)));
    std::iota(numbers.begin(), numbers.end(), first);
    Dims dims = samples.dims();
    dims[0] = static_cast<int64_t>(numbers.size());
    Tensor part(samples.dtype(), dims);
    samples.read(numbers, part);
    visit(part, first);
  }
}

std::shared_ptr<const SampleReader> open_samples(const std::string& spec) {
  auto [path, key] = split_path_and_key(spec);
  bool npy = ends_in(path, {".npy"}), idx = ends_in(path, {".idx", "-ubyte", ".ubyte"});
  bool csv = ends_in(path, {".csv"}), tsv = ends_in(path, {".tsv"});
  bool is_table = csv || tsv;
  if ((!npy && !idx && !is_table) || (!is_table && !key.empty())) return nullptr;
  // Of a pipe nothing can be read twice.
  MemoryBudget none(0);
  DataFile file = DataFile::open(path, none);
  if (is_table) return open_table(std::move(file), key, tsv ? '\t' : ',');
  RangeStream stream(file);
  std::optional<ArrayPlace> place = npy ? npy_place(stream) : idx_place(stream);
  if (!place) return nullptr;
  place->offset = file.size() - stream.upper_bound();
  return samples_of_file(std::move(file), *std::move(place));
}

}  // namespace onnxrun
