// Loads and stores of F32, F16, BF16 and F8_E4M3 arrays as vectors of floats. Compiled once for each instruction set.
//
// Gives PIPPIN_HAS_LANES: whether the set being compiled has kernels at all. It must have fused multiply-add.
#if defined(PIPPIN_TENSOR_LANES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_TENSOR_LANES_INL_H
#undef PIPPIN_TENSOR_LANES_INL_H
#else
#define PIPPIN_TENSOR_LANES_INL_H
#endif

#include "hwy/highway.h"
#include "pippin/dtype.h"

#undef PIPPIN_HAS_LANES
#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128 && !HWY_HAVE_SCALABLE && HWY_NATIVE_FMA
#define PIPPIN_HAS_LANES 1
#else
#define PIPPIN_HAS_LANES 0
#endif

#if PIPPIN_HAS_LANES
HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Tags of one full vector, and of as many 16-bit and 8-bit lanes as it has floats.
using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using Integers = hn::RebindToSigned<Floats>;
using Halves = hn::Rebind<uint16_t, Floats>;
using Bytes = hn::Rebind<uint8_t, Floats>;
using FloatVector = hn::Vec<Floats>;
using WordVector = hn::Vec<Words>;
using IntegerVector = hn::Vec<Integers>;

constexpr Floats floats{};
constexpr Words words{};
constexpr Integers integers{};
constexpr Halves halves{};
constexpr Bytes bytes{};
constexpr int64_t lane_count = static_cast<int64_t>(hn::MaxLanes(floats));

HWY_INLINE WordVector bits_of(FloatVector v) {
  return hn::BitCast(words, v);
}
HWY_INLINE FloatVector float_of(WordVector v) {
  return hn::BitCast(floats, v);
}

// Lanes<D>::load reads lane_count elements, store writes them with the bits of small_float.h. rounded() gives the
// nearest values that D has; its argument must not be NaN.
template <DType>
struct Lanes;

template <>
struct Lanes<DType::F32> {
  using Storage = float;
  static HWY_INLINE FloatVector load(const float* in) { return hn::LoadU(floats, in); }
  static HWY_INLINE void store(FloatVector v, float* out) { hn::StoreU(v, floats, out); }
  static HWY_INLINE FloatVector rounded(FloatVector v) { return v; }
};

template <>
struct Lanes<DType::F16> {
  using Storage = uint16_t;
  using Tag = hn::Rebind<hwy::float16_t, Floats>;

  static HWY_INLINE FloatVector load(const uint16_t* in) {
    return hn::PromoteTo(floats, hn::BitCast(Tag(), hn::LoadU(halves, in)));
  }
  static HWY_INLINE void store(FloatVector v, uint16_t* out) {
    const auto half = hn::BitCast(halves, hn::DemoteTo(Tag(), v));
    const auto sign = hn::Set(halves, 0x8000);
    const auto is_nan = hn::Gt(hn::AndNot(sign, half), hn::Set(halves, 0x7C00));
    const auto nan = hn::Or(hn::And(half, sign), hn::Set(halves, 0x7D00));
    hn::StoreU(hn::IfThenElse(is_nan, nan, half), halves, out);
  }
  static HWY_INLINE FloatVector rounded(FloatVector v) { return hn::PromoteTo(floats, hn::DemoteTo(Tag(), v)); }
};

template <>
struct Lanes<DType::BF16> {
  using Storage = uint16_t;

  static HWY_INLINE FloatVector load(const uint16_t* in) {
    return float_of(hn::ShiftLeft<16>(hn::PromoteTo(words, hn::LoadU(halves, in))));
  }
  static HWY_INLINE void store(FloatVector v, uint16_t* out) {
    const auto nan = hn::Set(words, 0x7FC00000u);
    const auto kept = bits_of(hn::IfThenElse(hn::IsNaN(v), float_of(nan), float_of(rounded_bits(v))));
    hn::StoreU(hn::TruncateTo(halves, hn::ShiftRight<16>(kept)), halves, out);
  }
  static HWY_INLINE FloatVector rounded(FloatVector v) {
    return float_of(hn::And(rounded_bits(v), hn::Set(words, 0xFFFF0000u)));
  }

 private:
  // The upper halves are the rounded values.
  static HWY_INLINE WordVector rounded_bits(FloatVector v) {
    const auto odd = hn::And(hn::ShiftRight<16>(bits_of(v)), hn::Set(words, 1));
    return hn::Add(bits_of(v), hn::Add(odd, hn::Set(words, 0x7FFF)));
  }
};

template <>
struct Lanes<DType::F8_E4M3> {
  using Storage = uint8_t;

  // Through F16, whose exponent has a bias 8 larger and room for every value. NaN gets F16's exponent of ones.
  static HWY_INLINE FloatVector load(const uint8_t* in) {
    const hn::Rebind<hwy::float16_t, Floats> f16;
    const auto code = hn::PromoteTo(halves, hn::LoadU(bytes, in));
    const auto magnitude = hn::And(code, hn::Set(halves, 0x7F));
    const auto sign = hn::ShiftLeft<8>(hn::And(code, hn::Set(halves, 0x80)));
    const auto nan_bit = hn::ShiftLeft<14>(hn::ShiftRight<7>(hn::Add(magnitude, hn::Set(halves, 1))));
    const auto half = hn::Or(hn::Or(sign, nan_bit), hn::ShiftLeft<7>(magnitude));
    return hn::Mul(hn::PromoteTo(floats, hn::BitCast(f16, half)), hn::Set(floats, 256.0f));
  }
};

}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
