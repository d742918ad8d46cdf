// Convolutions of bytes, exact in int32 (wrapping around): products of the weights with words whose
// terms are what a window meets (byte_dots.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernels/byte_neighbours.h"
#include "kernels/byte_planes.h"
#include "kernels/byte_products.h"
#include "kernels/byte_sums.h"
#include "kernels/conv_shape.h"
#include "kernels/flat_windows.h"
#include "kernels/kernel_list.h"

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
  // Ways to convolve. The first from number `way` on that applies is taken.
  static constexpr size_t ways = 5;
  explicit ByteConvolution(ConvShape s, Dots dots = fastest_dots(), size_t way = 0);

  std::string_view kernel() const { return name_; }

  // Words of the weights as run() takes them, and what their layout depends on besides their shape.
  int64_t weight_words() const;
  std::string weight_layout() const;
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
  struct Part {
    int64_t image, group;
  };
  // Numbers of them among those of all images.
  struct Groups {
    int64_t begin, end;
  };
  template <typename F>
  void for_each_part(Groups groups, const F& f) const;
  template <typename Result>
  using GroupKernel = Kernel<ByteConvolution, const Operands&, Groups, const Result&>;
  template <typename Result>
  static const GroupKernel<Result> kernels[ways];
  static constexpr size_t by_neighbours = 1, by_planes = 2, by_copies = 4;

  bool has_few_channels() const;
  bool channels_fill_words() const;
  // Columns that are computed at a time.
  int64_t piece() const;
  // Calls f(begin, end) with columns that cover all, in parallel where they are many.
  template <typename F>
  void for_each_piece(const F& f) const;
  // Windows of one element, which are columns as they lie.
  template <typename Result>
  void run_pixels(const Operands& o, const Part& part, const Result& result) const;
  // Padded planes whose words are read where they lie.
  template <typename Result>
  void run_neighbours(const Operands& o, Groups groups, const Result& result) const;
  template <typename Result>
  void sum_neighbours_of(const Operands& o, const Part& part, const uint8_t* planes,
                         const Result& result) const;
  // Columns are flat indices of padded planes.
  template <typename Result>
  void run_flat(const Operands& o, const Part& part, const Result& result) const;
  // Columns are windows that are copied out of the image.
  template <typename Result>
  void run_copied(const Operands& o, const Part& part, const Result& result) const;
  // Columns [begin, end) of the outputs, which are those of `rows` from `offset` on; behind them
  // may be memory to read.
  struct Columns {
    const uint8_t* const* rows;
    int64_t offset, begin, end;
    bool readable_behind;
  };
  template <typename Result>
  void run_columns(const Operands& o, const Columns& c, const Part& part,
                   const Result& result) const;
  // Planes of words that hold several channels.
  template <typename Result>
  void run_planes(const Operands& o, const Part& part, const Result& result) const;
  // Products of a group's weights with the columns that `product` has.
  template <typename Product, typename Result>
  void take_sums(const Operands& o, const Part& part, int64_t begin, int64_t end,
                 const Product& product, const Result& result) const;
  SumCorrection correction(const Operands& o, int64_t channel) const;

  // Output columns of a group: flat indices or windows.
  int64_t columns() const { return flat_ ? flat_->size() : outputs_; }
  int64_t terms() const { return terms_; }
  int64_t words() const;
  // None where words are of columns that are laid out.
  const WindowWords* window_words() const;
  int64_t channels() const { return shape_.groups * shape_.out_channels; }

  ConvShape shape_;
  int64_t terms_, outputs_;  // of a window, and of a channel
  Dots dots_;
  std::optional<FlatWindows> flat_;
  bool is_identity_;
  size_t way_;
  std::optional<NeighbourWords> neighbours_;
  std::optional<BytePlanes> planes_;
  std::string name_;
};

}  // namespace onnxrun
