#include "tensor/cast_kernels.h"

#include <vector>

#include "tensor/cast_reference.h"
#include "tensor/isa.h"
#include "tensor/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cast_kernels.cpp"
#include "hwy/foreach_target.h"
#include "tensor/lanes_inl.h"

HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {
#if PIPPIN_HAS_LANES
namespace {

template <DType From, DType To>
void cast_all(const void* in, void* out, int64_t count) {
  const auto* source = static_cast<const typename Lanes<From>::Storage*>(in);
  auto* target = static_cast<typename Lanes<To>::Storage*>(out);
  int64_t i = 0;
  for (; i + lane_count <= count; i += lane_count) Lanes<To>::store(Lanes<From>::load(source + i), target + i);
  reference_cast(From, source + i, To, target + i, count - i);
}

template <DType From>
void cast_from(const void* in, DType to, void* out, int64_t count) {
  if (to == From) return reference_cast(From, in, to, out, count);
  switch (to) {
    case DType::F32:
      return cast_all<From, DType::F32>(in, out, count);
    case DType::F16:
      return cast_all<From, DType::F16>(in, out, count);
    case DType::BF16:
      return cast_all<From, DType::BF16>(in, out, count);
    default:
      return reference_cast(From, in, to, out, count);
  }
}

void cast(DType from, const void* in, DType to, void* out, int64_t count) {
  switch (from) {
    case DType::F32:
      return cast_from<DType::F32>(in, to, out, count);
    case DType::F16:
      return cast_from<DType::F16>(in, to, out, count);
    case DType::BF16:
      return cast_from<DType::BF16>(in, to, out, count);
    case DType::F8_E4M3:
      return cast_from<DType::F8_E4M3>(in, to, out, count);
    default:
      return reference_cast(from, in, to, out, count);
  }
}

// Looks for the greatest magnitude of a block, and counts only where that is not finite. Word is the unsigned type of
// the dtype's size, and infinity its bits of infinity.
template <DType D, typename Word, Word infinity>
int64_t nonfinite_in(const void* values, int64_t count) {
  const hn::ScalableTag<Word> tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  const int64_t step = 4 * lanes;
  const int64_t block = 32 * step;
  const auto magnitude_mask = hn::Set(tag, static_cast<Word>(Word(~Word{0}) >> 1));
  const auto* words_in = static_cast<const Word*>(values);
  int64_t found = 0;
  int64_t i = 0;
  while (count - i >= step) {
    const int64_t end = i + (count - i < block ? (count - i) / step * step : block);
    auto a = hn::Zero(tag);
    auto b = a, c = a, d = a;
    for (int64_t j = i; j < end; j += step) {
      a = hn::Max(a, hn::And(magnitude_mask, hn::LoadU(tag, words_in + j)));
      b = hn::Max(b, hn::And(magnitude_mask, hn::LoadU(tag, words_in + j + lanes)));
      c = hn::Max(c, hn::And(magnitude_mask, hn::LoadU(tag, words_in + j + 2 * lanes)));
      d = hn::Max(d, hn::And(magnitude_mask, hn::LoadU(tag, words_in + j + 3 * lanes)));
    }
    const auto greatest = hn::Max(hn::Max(a, b), hn::Max(c, d));
    const auto finite = hn::Set(tag, static_cast<Word>(infinity - 1));
    if (!hn::AllTrue(tag, hn::Eq(hn::Max(greatest, finite), finite))) {
      found += reference_count_nonfinite(D, words_in + i, end - i);
    }
    i = end;
  }
  return found + reference_count_nonfinite(D, words_in + i, count - i);
}

int64_t count_nonfinite(DType dtype, const void* values, int64_t count) {
  switch (dtype) {
    case DType::F16:
      return nonfinite_in<DType::F16, uint16_t, 0x7C00>(values, count);
    case DType::BF16:
      return nonfinite_in<DType::BF16, uint16_t, 0x7F80>(values, count);
    case DType::F32:
      return nonfinite_in<DType::F32, uint32_t, 0x7F800000>(values, count);
    default:
      return reference_count_nonfinite(dtype, values, count);
  }
}

}  // namespace

CastKernels kernels_for_cast() {
  return {hwy::TargetName(HWY_TARGET), HWY_TARGET, cast, count_nonfinite};
}
#else
CastKernels kernels_for_cast() {
  return {};
}
#endif
}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pippin {

std::span<const CastKernels> cast_kernels() {
  static const std::vector<CastKernels> kernels = [] {
    CastKernels (*const best_first[])() = {HWY_CHOOSE_TARGET_LIST(kernels_for_cast)};
    return runnable_kernels<CastKernels>(best_first, {"SCALAR", 0, reference_cast, reference_count_nonfinite});
  }();
  return kernels;
}

}  // namespace pippin
#endif
