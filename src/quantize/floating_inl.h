// Floating modes with vectors; reference_floating.cpp says what is computed. Compiled once for each instruction set.
#if defined(PIPPIN_QUANTIZE_FLOATING_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_QUANTIZE_FLOATING_INL_H
#undef PIPPIN_QUANTIZE_FLOATING_INL_H
#else
#define PIPPIN_QUANTIZE_FLOATING_INL_H
#endif

#include "quantize/block_inl.h"
#include "quantize/reference.h"

#if PIPPIN_HAS_LANES
HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {
namespace {

void quantize_floating(const QuantizeJob& job) { reference_quantize_floating(job); }
void dequantize_floating(const DequantizeJob& job) { reference_dequantize_floating(job); }

}  // namespace
}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
