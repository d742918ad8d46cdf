#include "fit/streams.h"

#include "array_files.h"
#include "base/error.h"

namespace onnxrun {

namespace {

class PreparedSamples final : public SampleReader {
 public:
  PreparedSamples(std::shared_ptr<const SampleReader> from, Dims dims, DType dtype,
                  std::optional<PreparedInput> preparation)
      : SampleReader(dtype, std::move(dims)),
        from_(std::move(from)),
        preparation_(std::move(preparation)) {}

  void read(std::span<const int64_t> samples, Tensor& out) const override {
    bool as_it_is = !preparation_ && from_->dtype() == dtype();
    if (as_it_is) return from_->read(samples, out);
    Dims batch = dims();
    batch[0] = static_cast<int64_t>(samples.size());
    Tensor raw(from_->dtype(), batch);
    from_->read(samples, raw);
    copy_elements(convert(preparation_ ? preparation_->apply(raw) : raw, dtype()), out);
  }

 private:
  std::shared_ptr<const SampleReader> from_;
  std::optional<PreparedInput> preparation_;
};

}  // namespace

std::vector<NamedSamples> open_streams(const std::vector<std::string>& files) {
  std::vector<NamedSamples> all;
  for (const std::string& text : files) {
    auto [name, file] = split_array_name(text);
    if (name.empty()) {
      fail(ErrorKind::BadInput, "{}: its array has no name; NAME={} gives one", file, file);
    }
    try {
      all.push_back({name, open_samples(file)});
    } catch (const Error& e) {
      throw e.in_file(file);
    }
    if (!all.back().samples) {
      fail(ErrorKind::BadInput,
           "{}: only .npy (in C's order, of numbers), idx, .csv and .tsv files that are not "
           "compressed are read "
           "piece by piece",
           file);
    }
  }
  return all;
}

std::shared_ptr<const SampleReader> prepared_samples(std::shared_ptr<const SampleReader> from,
                                                     Dims dims, DType dtype,
                                                     std::optional<PreparedInput> preparation) {
  return std::make_shared<PreparedSamples>(std::move(from), std::move(dims), dtype,
                                           std::move(preparation));
}

}  // namespace onnxrun
