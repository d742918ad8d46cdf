// Convolutions of bytes, exact in int32 (wrapping around): products of the weights with words whose
// terms are what a window meets (byte_dots.h).
#pragma once

#include <optional>
#include <string_view>

#include "kernels/byte_products.h"
#include "kernels/byte_sums.h"
#include "kernels/conv_shape.h"
#include "kernels/flat_windows.h"

namespace onnxrun {

// What becomes of the sums of each output channel.
struct ChannelResults {
  const int32_t* bias = nullptr;  // one a channel, or none
  const float* factors;           // one a channel
  int32_t zero_point;
  bool is_signed;
};

class ByteConvolution {
 public:
  explicit ByteConvolution(ConvShape s, Dots dots = fastest_dots());

  std::string_view kernel() const;

  // Words of the weights as run() takes them.
  int64_t weight_words() const;
  void pack_weights(const Bytes& w, int32_t* words) const;

  struct Operands {
    Bytes x;
    uint8_t zero_x;  // as in x
    const int32_t* weights;
    const ZeroPoints&
        zero_w;  // of the weights as they are moved to be signed; one or one a channel
  };
  // Use the threads of the caller's ThreadScope; results do not depend on their number.
  void sums(const Operands& o, int32_t* y) const;
  void quantized(const Operands& o, const ChannelResults& results, uint8_t* y) const;

 private:
  template <typename Result>
  void run(const Operands& o, const Result& result) const;
  template <typename Result>
  void run_group(const Operands& o, int64_t image, int64_t group, const Result& result) const;
  // Columns [begin, end) of the outputs, which are those of `rows` from `offset` on; behind them
  // may be memory to read.
  struct Columns {
    const uint8_t* const* rows;
    int64_t offset, begin, end;
    bool readable_behind;
  };
  template <typename Result>
  void run_columns(const Operands& o, const Columns& c, int64_t image, int64_t group,
                   const Result& result) const;
  // The same for groups with so few output channels that columns are read once.
  template <typename Result>
  void run_few_channels(const Operands& o, const Columns& c, int64_t image, int64_t group,
                        const Result& result) const;
  // The same of windows that are copied out of the group's part of the image.
  template <typename Result>
  void run_windows(const Operands& o, int64_t begin, int64_t end, int64_t image, int64_t group,
                   const Result& result) const;
  SumCorrection correction(const Operands& o, int64_t channel) const;

  // Output columns of a group: flat indices or windows.
  int64_t columns() const { return flat_ ? flat_->size() : outputs_; }
  int64_t terms() const { return terms_; }
  int64_t words() const { return words_of(dots_, terms()); }
  int64_t channels() const { return shape_.groups * shape_.out_channels; }

  ConvShape shape_;
  int64_t terms_, outputs_;  // of a window, and of a channel
  Dots dots_;
  std::optional<FlatWindows> flat_;
  bool is_identity_;
};

}  // namespace onnxrun
