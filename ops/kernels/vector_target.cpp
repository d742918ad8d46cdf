#include "kernels/vector_target.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vector_target.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace onnxrun::HWY_NAMESPACE {

int64_t this_target() { return HWY_TARGET; }
int bytes_of_this_target() {
  return static_cast<int>(hwy::HWY_NAMESPACE::Lanes(hwy::HWY_NAMESPACE::ScalableTag<uint8_t>()));
}

}  // namespace onnxrun::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace onnxrun {

HWY_EXPORT(this_target);
HWY_EXPORT(bytes_of_this_target);

std::string vector_target() { return hwy::TargetName(HWY_DYNAMIC_DISPATCH(this_target)()); }
int vector_bytes() { return HWY_DYNAMIC_DISPATCH(bytes_of_this_target)(); }

}  // namespace onnxrun

#endif
