// One direction of a recurrent layer among the operands of all.
#pragma once

#include "emit/recurrent_math.h"
#include "recurrent_family.h"

namespace onnxrun {

// Operands of direction `d` in the surrounding graph; no_value for those that are not there. Shapes
// need not be known.
class RecurrentDirection {
 public:
  // `inputs` are those of RecurrentInput.
  RecurrentDirection(GraphBuilder& b, const RecurrentAttributes& a, std::vector<ValueId> inputs,
                     int64_t d);

  const Cell& cell() const { return cell_; }
  bool is_reverse() const { return reverse_; }
  RecurrentMath math() { return {b_}; }

  // Element d of axis `axis` of v, without that axis.
  ValueId part(ValueId v, int64_t axis);
  ValueId x() const { return inputs_[RecurrentInput::X]; }
  ValueId w() { return part(inputs_[RecurrentInput::W], 0); }  // [G*hidden,inputs]
  ValueId r() { return part(inputs_[RecurrentInput::R], 0); }  // [G*hidden,hidden]
  // Wb and Rb, or nothing.
  std::vector<ValueId> biases();
  // Peepholes of i, o and f, or nothing.
  std::vector<ValueId> peepholes();
  // [batch,hidden], zeros if none are given.
  ValueId initial_h() { return initial(RecurrentInput::InitialH); }
  ValueId initial_c() { return initial(RecurrentInput::InitialC); }
  // bool [steps,batch,1]: the sequence has not ended; no_value if none ends.
  ValueId live();

 private:
  ValueId initial(size_t input);

  GraphBuilder& b_;
  std::vector<ValueId> inputs_;
  int64_t d_, directions_;
  bool reverse_;
  Cell cell_;
};

// Results of the directions put together along a new axis.
ValueId join_directions(GraphBuilder& b, const std::vector<ValueId>& parts, int64_t axis);

}  // namespace onnxrun
