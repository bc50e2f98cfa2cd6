// What the vector kernels of all modes share. They work on blocks of groups, so that the arithmetic of scales, a few
// divisions a group, is vectorized too. Compiled once for each instruction set.
//
// A block is tame where every value is finite and no scale is extreme; then no operation overflows or gives NaN, and
// the kernels compute what the reference does. Other blocks go to the reference.
#if defined(PIPPIN_QUANTIZE_BLOCK_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_QUANTIZE_BLOCK_INL_H
#undef PIPPIN_QUANTIZE_BLOCK_INL_H
#else
#define PIPPIN_QUANTIZE_BLOCK_INL_H
#endif

#include <cstring>

#include "quantize/code_packing_inl.h"
#include "quantize/kernels.h"
#include "tensor/lanes_inl.h"

#if PIPPIN_HAS_LANES
HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {

constexpr int block_groups = 16;
constexpr int most_codes = block_groups * 128;

// One float a group of a block; those past a short block's end are zero.
struct BlockFloats {
  alignas(64) float at[block_groups] = {};
};

// 2 * lane_count consecutive values. BF16 gives those with even and odd index, which takes no shuffle; the other
// dtypes give the first and the second half.
template <DType D>
HWY_INLINE void load_pair(const typename Lanes<D>::Storage* in, FloatVector& a, FloatVector& b) {
  if constexpr (D == DType::BF16) {
    const auto both = hn::BitCast(words, hn::LoadU(Codes16(), in));
    a = float_of(hn::ShiftLeft<16>(both));
    b = float_of(hn::And(both, hn::Set(words, 0xFFFF0000u)));
  } else {
    a = Lanes<D>::load(in);
    b = Lanes<D>::load(in + lane_count);
  }
}

// Stores the codes of values that load_pair() gave, one a byte in the values' order.
template <DType D>
HWY_INLINE void store_pair(IntegerVector a, IntegerVector b, uint8_t* out) {
  if constexpr (D == DType::BF16) {
    const auto both = hn::BitCast(words, hn::Or(a, hn::ShiftLeft<8>(b)));
    hn::StoreU(hn::BitCast(hn::Repartition<uint8_t, Halves>(), hn::TruncateTo(halves, both)),
               hn::Repartition<uint8_t, Halves>(), out);
  } else {
    hn::StoreU(hn::TruncateTo(bytes, hn::BitCast(words, a)), bytes, out);
    hn::StoreU(hn::TruncateTo(bytes, hn::BitCast(words, b)), bytes, out + lane_count);
  }
}

// Integer part and nearest integer (ties to even) of small numbers, without Highway's care for what does not fit.
HWY_INLINE IntegerVector truncated(FloatVector v) {
#if HWY_TARGET == HWY_AVX3
  return IntegerVector{_mm512_cvttps_epi32(v.raw)};
#elif HWY_TARGET == HWY_AVX2
  return IntegerVector{_mm256_cvttps_epi32(v.raw)};
#else
  return hn::ConvertTo(integers, v);
#endif
}

HWY_INLINE IntegerVector nearest(FloatVector v) {
#if HWY_TARGET == HWY_AVX3
  return IntegerVector{_mm512_cvtps_epi32(v.raw)};
#elif HWY_TARGET == HWY_AVX2
  return IntegerVector{_mm256_cvtps_epi32(v.raw)};
#else
  return hn::NearestInt(v);
#endif
}

// a / b, correctly rounded, for divisors that repeat: `inverse` is 1 / b, correctly rounded (Markstein's theorem).
// Holds while nothing underflows on the way, or the quotient is too small to matter.
HWY_INLINE FloatVector quotient(FloatVector a, FloatVector b, FloatVector inverse) {
  const auto estimate = hn::Mul(a, inverse);
  const auto rest = hn::NegMulAdd(estimate, b, a);
  return hn::MulAdd(rest, inverse, estimate);
}

// Collects whether all values seen are finite: infinity and NaN times zero are NaN.
class FiniteCheck {
 public:
  HWY_INLINE FiniteCheck() : poison_(hn::Zero(floats)) {}
  HWY_INLINE void see(FloatVector v) { poison_ = hn::MulAdd(v, hn::Zero(floats), poison_); }
  HWY_INLINE bool all_finite() const { return hn::AllFalse(floats, hn::IsNaN(poison_)); }

 private:
  FloatVector poison_;
};

// Rounds a block's floats to dtype D and writes the first `count`.
template <DType D>
HWY_INLINE void store_floats(const BlockFloats& values, int64_t count, void* out) {
  alignas(64) typename Lanes<D>::Storage stored[block_groups];
  for (int64_t i = 0; i < block_groups; i += lane_count) {
    Lanes<D>::store(hn::Load(floats, values.at + i), stored + i);
  }
  std::memcpy(out, stored, static_cast<size_t>(count) * sizeof(stored[0]));
}

// Calls kernel(block) for every block_groups groups of the job, and hands those that it refuses to the reference.
template <typename Job>
HWY_INLINE void for_each_block(const Job& job, bool (*kernel)(const Job&), void (*reference)(const Job&)) {
  for (int64_t first = 0; first < job.groups; first += block_groups) {
    const int64_t left = job.groups - first;
    const Job block = job.slice(first, left < block_groups ? left : block_groups);
    if (!kernel(block)) reference(block);
  }
}

}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
