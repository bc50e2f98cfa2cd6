#include "quantize/kernels.h"

#include <vector>

#include "quantize/reference.h"
#include "tensor/isa.h"
#include "tensor/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/kernels.cpp"
#include "hwy/foreach_target.h"
#include "quantize/affine_inl.h"
#include "quantize/floating_inl.h"

HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {
#if PIPPIN_HAS_LANES
namespace {

void quantize(const QuantizeJob& job) {
  return job.format.mode == QuantMode::affine ? quantize_affine(job) : quantize_floating(job);
}

void dequantize(const DequantizeJob& job) {
  return job.format.mode == QuantMode::affine ? dequantize_affine(job) : dequantize_floating(job);
}

}  // namespace

QuantizeKernels kernels_for_quantize() {
  return {hwy::TargetName(HWY_TARGET), HWY_TARGET, quantize, dequantize};
}
#else
QuantizeKernels kernels_for_quantize() {
  return {};
}
#endif
}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pippin {

std::span<const QuantizeKernels> quantize_kernels() {
  static const std::vector<QuantizeKernels> kernels = [] {
    QuantizeKernels (*const best_first[])() = {HWY_CHOOSE_TARGET_LIST(kernels_for_quantize)};
    return runnable_kernels<QuantizeKernels>(best_first, {"SCALAR", 0, reference_quantize, reference_dequantize});
  }();
  return kernels;
}

const QuantizeKernels& chosen_quantize_kernels() {
  static const QuantizeKernels& chosen = chosen_kernels(quantize_kernels());
  return chosen;
}

}  // namespace pippin
#endif
