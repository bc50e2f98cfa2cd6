// The least and the greatest value of each group of a block. Compiled once for each instruction set.
#if defined(PIPPIN_QUANTIZE_RANGE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_QUANTIZE_RANGE_INL_H
#undef PIPPIN_QUANTIZE_RANGE_INL_H
#else
#define PIPPIN_QUANTIZE_RANGE_INL_H
#endif

#include "hwy/cache_control.h"
#include "quantize/block_inl.h"

#if PIPPIN_HAS_LANES
HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {

// Collects whether all values seen are finite: infinity and NaN times zero are NaN.
class FiniteCheck {
 public:
  HWY_INLINE FiniteCheck() : poison_(hn::Zero(floats)) {}
  HWY_INLINE void see(FloatVector v) { poison_ = hn::MulAdd(v, hn::Zero(floats), poison_); }
  HWY_INLINE bool all_finite() const { return hn::AllFalse(floats, hn::IsNaN(poison_)); }

 private:
  FloatVector poison_;
};

// Asks for the memory some 2 KB beyond a group, about a block ahead: the hardware's own prefetching falls behind while
// a block is read the second time. Asking beyond the end does no harm.
HWY_INLINE void prefetch_beyond(const void* group, int64_t group_bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(group) + 2048;
  for (int64_t i = 0; i < group_bytes; i += 64) hwy::Prefetch(reinterpret_cast<const char*>(begin + i));
}

// The bits of a half float as an unsigned integer of the same order, and back. NaN comes below or above all numbers,
// which is how it is noticed; -0 comes below 0.
template <typename D, typename V>
HWY_INLINE V order_of(D tag, V v) {
  const auto sign = hn::BitCast(tag, hn::BroadcastSignBit(hn::BitCast(hn::RebindToSigned<D>(), v)));
  return hn::Xor(v, hn::Or(sign, hn::Set(tag, 0x8000)));
}

template <typename D, typename V>
HWY_INLINE V of_order(D tag, V v) {
  const auto positive = hn::BitCast(tag, hn::BroadcastSignBit(hn::BitCast(hn::RebindToSigned<D>(), v)));
  return hn::Xor(v, hn::Or(hn::Not(positive), hn::Set(tag, 0x8000)));
}

// The least and the greatest of all lanes of an unsigned vector.
template <typename D, typename V>
HWY_INLINE uint16_t least_lane(D tag, V v) {
  if constexpr (hn::MaxLanes(D()) > 8) {
    const hn::Half<D> half;
    return least_lane(half, hn::Min(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  } else {
    return hn::GetLane(hn::MinOfLanes(tag, v));
  }
}

template <typename D, typename V>
HWY_INLINE uint16_t greatest_lane(D tag, V v) {
  if constexpr (hn::MaxLanes(D()) > 8) {
    const hn::Half<D> half;
    return greatest_lane(half, hn::Max(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  } else {
    return static_cast<uint16_t>(~least_lane(tag, hn::Not(v)));  // x86 has only the least in one instruction
  }
}

// Half floats of a block as floats; false where one is not finite.
template <DType D>
HWY_INLINE bool widen(const uint16_t* in, BlockFloats& out) {
  FiniteCheck check;
  for (int64_t i = 0; i < block_groups; i += lane_count) {
    const auto v = Lanes<D>::load(in + i);
    check.see(v);
    hn::Store(v, floats, out.at + i);
  }
  return check.all_finite();
}

// In the order of integers half floats take one instruction for twice as many lanes.
template <DType D>
HWY_INLINE bool find_half_ranges(const QuantizeJob& job, BlockFloats& least, BlockFloats& greatest) {
  const Codes16 tag;
  const auto step = static_cast<int>(hn::MaxLanes(tag));
  const auto* in = static_cast<const uint16_t*>(job.values);
  alignas(64) uint16_t least_bits[block_groups] = {};
  alignas(64) uint16_t greatest_bits[block_groups] = {};
  for (int64_t g = 0; g < job.groups; ++g) {
    prefetch_beyond(in, job.format.group_size * 2);
    auto low = order_of(tag, hn::LoadU(tag, in));
    auto high = low;
    in += step;
    for (int i = step; i < job.format.group_size; i += step, in += step) {
      const auto v = order_of(tag, hn::LoadU(tag, in));
      low = hn::Min(low, v);
      high = hn::Max(high, v);
    }
    least_bits[g] = least_lane(tag, low);
    greatest_bits[g] = greatest_lane(tag, high);
  }
  for (int64_t i = 0; i < block_groups; i += lane_count) {
    hn::Store(of_order(halves, hn::Load(halves, least_bits + i)), halves, least_bits + i);
    hn::Store(of_order(halves, hn::Load(halves, greatest_bits + i)), halves, greatest_bits + i);
  }
  // Groups past a short block's end came out as NaN.
  for (int64_t g = job.groups; g < block_groups; ++g) least_bits[g] = greatest_bits[g] = 0;
  const bool finite = widen<D>(least_bits, least);
  return widen<D>(greatest_bits, greatest) && finite;
}

HWY_INLINE bool find_float_ranges(const QuantizeJob& job, BlockFloats& least, BlockFloats& greatest) {
  const auto* in = static_cast<const float*>(job.values);
  FiniteCheck check;
  for (int64_t g = 0; g < job.groups; ++g) {
    prefetch_beyond(in, job.format.group_size * 4);
    auto low = hn::LoadU(floats, in);
    auto high = low;
    for (int i = 0; i < job.format.group_size; i += lane_count, in += lane_count) {
      const auto v = hn::LoadU(floats, in);
      check.see(v);
      low = hn::Min(low, v);
      high = hn::Max(high, v);
    }
    least.at[g] = hn::GetLane(hn::MinOfLanes(floats, low));
    greatest.at[g] = hn::GetLane(hn::MaxOfLanes(floats, high));
  }
  return check.all_finite();
}

// False where a value is not finite; then the ranges mean nothing. Which of 0 and -0 is found is left open.
template <DType D>
HWY_INLINE bool find_ranges(const QuantizeJob& job, BlockFloats& least, BlockFloats& greatest) {
  if constexpr (D == DType::F32)
    return find_float_ranges(job, least, greatest);
  else
    return find_half_ranges<D>(job, least, greatest);
}

template <DType D, int group_size>
HWY_INLINE bool find_half_magnitudes(const QuantizeJob& job, BlockFloats& greatest) {
  const hn::CappedTag<uint16_t, group_size> tag;
  const auto step = static_cast<int>(hn::MaxLanes(tag));
  const auto* in = static_cast<const uint16_t*>(job.values);
  alignas(64) uint16_t found[block_groups] = {};
  for (int64_t g = 0; g < job.groups; ++g) {
    prefetch_beyond(in, group_size * 2);
    auto high = hn::Zero(tag);
    for (int i = 0; i < group_size; i += step, in += step) {
      high = hn::Max(high, hn::And(hn::LoadU(tag, in), hn::Set(tag, 0x7FFF)));
    }
    found[g] = greatest_lane(tag, high);
  }
  return widen<D>(found, greatest);
}

HWY_INLINE bool find_float_magnitudes(const QuantizeJob& job, BlockFloats& greatest) {
  const auto* in = static_cast<const float*>(job.values);
  FiniteCheck check;
  for (int64_t g = 0; g < job.groups; ++g) {
    prefetch_beyond(in, job.format.group_size * 4);
    auto high = hn::Zero(floats);
    for (int i = 0; i < job.format.group_size; i += lane_count, in += lane_count) {
      const auto v = hn::LoadU(floats, in);
      check.see(v);
      high = hn::Max(high, hn::Abs(v));
    }
    greatest.at[g] = hn::GetLane(hn::MaxOfLanes(floats, high));
  }
  return check.all_finite();
}

// The greatest magnitude of each group. False where a value is not finite.
template <DType D, int group_size>
HWY_INLINE bool find_magnitudes(const QuantizeJob& job, BlockFloats& greatest) {
  if constexpr (D == DType::F32)
    return find_float_magnitudes(job, greatest);
  else
    return find_half_magnitudes<D, group_size>(job, greatest);
}

}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
