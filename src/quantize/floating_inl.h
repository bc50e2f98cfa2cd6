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

struct FloatingBlock {
  BlockFloats greatest;  // magnitude
  BlockFloats scale;
  BlockFloats inverse;  // 1 / scale, or 0 where the scale is 0
  alignas(64) uint8_t bytes[block_groups];
};

// float_to_e4m3() for vectors.
HWY_INLINE WordVector e4m3_code(FloatVector v) {
  const auto sign = hn::And(hn::ShiftRight<24>(bits_of(v)), hn::Set(words, 0x80));
  const auto magnitude = hn::And(bits_of(v), hn::Set(words, 0x7FFFFFFF));
  const auto small = hn::Sub(bits_of(hn::Add(float_of(magnitude), hn::Set(floats, 0x1p14f))), hn::Set(words, 0x46800000));
  const auto odd = hn::And(hn::ShiftRight<20>(magnitude), hn::Set(words, 1));
  const auto normal = hn::ShiftRight<20>(hn::Add(hn::Sub(magnitude, hn::Set(words, 0x3C000000 - 0x7FFFF)), odd));
  const auto is_small = hn::Lt(float_of(magnitude), hn::Set(floats, 0x1p-6f));
  const auto code = hn::IfThenElse(is_small, hn::BitCast(floats, small), hn::BitCast(floats, normal));
  return hn::Or(sign, hn::Min(bits_of(code), hn::Set(words, 0x7E)));
}

// One more in the lanes where a exceeds the limit.
HWY_INLINE WordVector counted(WordVector code, FloatVector a, float limit) {
  return hn::Sub(code, bits_of(hn::VecFromMask(floats, hn::Gt(a, hn::Set(floats, limit)))));
}

// Nearest E2M1. Between two values Metal takes the even code and keeps the sign of zero; the CPU takes the smaller
// magnitude, and 0 for -0.
template <Rounding R>
HWY_INLINE WordVector e2m1_code(FloatVector v) {
  constexpr bool even = R == Rounding::metal;
  const auto a = hn::Abs(v);
  auto code = counted(hn::Zero(words), a, 0.25f);
  code = counted(code, a, even ? 0x1.7ffffep-1f : 0.75f);  // the floats below 0.75, 1.75 and 3.5
  code = counted(code, a, 1.25f);
  code = counted(code, a, even ? 0x1.bffffep+0f : 1.75f);
  code = counted(code, a, 2.5f);
  code = counted(code, a, even ? 0x1.bffffep+1f : 3.5f);
  code = counted(code, a, 5.0f);
  const auto sign = hn::And(hn::ShiftRight<28>(bits_of(v)), hn::Set(words, 8));
  if constexpr (even) return hn::Or(code, sign);
  return hn::Or(code, hn::And(sign, bits_of(hn::VecFromMask(floats, hn::Gt(a, hn::Set(floats, 0.25f))))));
}

// False where a value is not finite.
template <DType D>
HWY_INLINE bool find_magnitudes(const QuantizeJob& job, FloatingBlock& block) {
  const auto* in = static_cast<const typename Lanes<D>::Storage*>(job.values);
  FiniteCheck check;
  for (int64_t g = 0; g < job.groups; ++g) {
    auto greatest = hn::Zero(floats);
    for (int i = 0; i < job.format.group_size; i += lane_count, in += lane_count) {
      const auto v = Lanes<D>::load(in);
      check.see(v);
      greatest = hn::Max(greatest, hn::Abs(v));
    }
    block.greatest.at[g] = hn::GetLane(hn::MaxOfLanes(floats, greatest));
  }
  return check.all_finite();
}

// The biased exponent of the smallest power of two not below x. Below 2^-126 the least E8M0 numbers are 2^-127 and then
// 2^-126.
HWY_INLINE WordVector exponent_not_below(FloatVector x) {
  const auto exponent = hn::ShiftRight<23>(bits_of(x));
  const auto mantissa = hn::And(bits_of(x), hn::Set(words, 0x7FFFFF));
  const auto allowed = hn::IfThenElse(hn::Eq(exponent, hn::Zero(words)), hn::Set(words, 0x400000), hn::Zero(words));
  return hn::Add(exponent, hn::IfThenElse(hn::Gt(mantissa, allowed), hn::Set(words, 1), hn::Zero(words)));
}

// Scale, its inverse and its byte for lane_count groups from i on.
HWY_INLINE void store_scales(FloatingBlock& block, int64_t i, FloatVector scale, FloatVector inverse, WordVector byte) {
  hn::Store(scale, floats, block.scale.at + i);
  hn::Store(inverse, floats, block.inverse.at + i);
  hn::StoreU(hn::TruncateTo(bytes, byte), bytes, block.bytes + i);
}

// For mxfp4 and mxfp8. False where a scale is extreme.
template <Rounding R>
HWY_INLINE bool choose_power_of_two(FloatVector fitting, FloatingBlock& block, int64_t i) {
  auto byte = exponent_not_below(fitting);
  auto tame = hn::Lt(fitting, hn::Set(floats, 0x1p100f));
  if constexpr (R == Rounding::cpu) {
    const auto is_zero = hn::Eq(fitting, hn::Zero(floats));
    byte = hn::IfThenElse(hn::RebindMask(words, is_zero), hn::Set(words, 127), byte);
    tame = hn::And(tame, hn::Or(is_zero, hn::Ge(fitting, hn::Set(floats, 0x1p-126f))));
  }
  const auto inverse = float_of(hn::ShiftLeft<23>(hn::Sub(hn::Set(words, 254), byte)));
  store_scales(block, i, hn::Zero(floats), inverse, byte);
  return hn::AllTrue(floats, tame);
}

// For nvfp4. False where a scale is extreme: the CPU loses small differences in the distances to the codes.
template <Rounding R>
HWY_INLINE bool choose_e4m3(FloatVector fitting, FloatingBlock& block, int64_t i) {
  const auto byte = e4m3_code(fitting);
  alignas(64) uint8_t stored[lane_count];
  hn::StoreU(hn::TruncateTo(bytes, byte), bytes, stored);
  const auto scale = Lanes<DType::F8_E4M3>::load(stored);
  const auto is_zero = hn::Eq(scale, hn::Zero(floats));
  const auto inverse = hn::IfThenZeroElse(is_zero, hn::Div(hn::Set(floats, 1.0f), scale));
  // Values of a group without scale get the first code, as a division by infinity gives it.
  const auto divisor = hn::IfThenElse(is_zero, hn::Set(floats, 0x1p120f), scale);
  store_scales(block, i, divisor, inverse, byte);
  return hn::AllTrue(floats, hn::Lt(fitting, hn::Set(floats, R == Rounding::metal ? 0x1p100f : 0x1p16f)));
}

template <Rounding R, DType D>
HWY_INLINE bool choose_floating_scales(const QuantizeJob& job, FloatingBlock& block) {
  const auto most = hn::Set(floats, job.format.bits == 4 ? 6.0f : 448.0f);
  bool tame = true;
  for (int64_t i = 0; i < block_groups; i += lane_count) {
    auto fitting = hn::Div(hn::Load(floats, block.greatest.at + i), most);
    if constexpr (R == Rounding::cpu) fitting = Lanes<D>::rounded(fitting);
    tame &= job.format.mode == QuantMode::nvfp4 ? choose_e4m3<R>(fitting, block, i)
                                                : choose_power_of_two<R>(fitting, block, i);
  }
  return tame;
}

template <Rounding R, DType D, QuantMode M>
HWY_INLINE void code_floating_groups(const QuantizeJob& job, const FloatingBlock& block, uint8_t* codes) {
  constexpr int group_size = M == QuantMode::nvfp4 ? 16 : 32;
  const auto* in = static_cast<const typename Lanes<D>::Storage*>(job.values);
  for (int64_t g = 0; g < job.groups; ++g) {
    const auto scale = hn::Set(floats, block.scale.at[g]);
    const auto inverse = hn::Set(floats, block.inverse.at[g]);
    for (int i = 0; i < group_size; i += lane_count, in += lane_count, codes += lane_count) {
      const auto v = Lanes<D>::load(in);
      FloatVector scaled;
      if constexpr (R == Rounding::cpu && M == QuantMode::nvfp4) {
        scaled = Lanes<D>::rounded(hn::Div(v, scale));
      } else {
        // For the CPU's mx modes too: a power of two's inverse is exact, and rounding to the dtype changes only
        // numbers far below the least code.
        scaled = hn::Mul(v, inverse);
      }
      const auto code = M == QuantMode::mxfp8 ? e4m3_code(scaled) : e2m1_code<R>(scaled);
      hn::StoreU(hn::TruncateTo(bytes, code), bytes, codes);
    }
  }
}

template <Rounding R, DType D, QuantMode M>
bool quantize_floating_block(const QuantizeJob& job) {
  FloatingBlock block;
  if (!find_magnitudes<D>(job, block) || !choose_floating_scales<R, D>(job, block)) return false;
  std::memcpy(job.scales, block.bytes, static_cast<size_t>(job.groups));
  if constexpr (M == QuantMode::mxfp8) {
    code_floating_groups<R, D, M>(job, block, static_cast<uint8_t*>(job.packed));
  } else {
    alignas(64) uint8_t codes[most_codes + packing_slack];
    alignas(64) uint8_t packed[most_codes + packing_slack];
    const int64_t count = job.groups * job.format.group_size;
    code_floating_groups<R, D, M>(job, block, codes);
    pack_codes(4, codes, count, packed);
    std::memcpy(job.packed, packed, static_cast<size_t>(count / 2));
  }
  return true;
}

template <Rounding R, DType D>
void quantize_floating_from(const QuantizeJob& job) {
  switch (job.format.mode) {
    case QuantMode::mxfp4:
      return for_each_block(job, quantize_floating_block<R, D, QuantMode::mxfp4>, reference_quantize_floating);
    case QuantMode::mxfp8:
      return for_each_block(job, quantize_floating_block<R, D, QuantMode::mxfp8>, reference_quantize_floating);
    case QuantMode::nvfp4:
      return for_each_block(job, quantize_floating_block<R, D, QuantMode::nvfp4>, reference_quantize_floating);
    case QuantMode::affine: return;
  }
}

template <Rounding R>
void quantize_floating_with(const QuantizeJob& job) {
  switch (job.dtype) {
    case DType::F32: return quantize_floating_from<R, DType::F32>(job);
    case DType::F16: return quantize_floating_from<R, DType::F16>(job);
    case DType::BF16: return quantize_floating_from<R, DType::BF16>(job);
    default: return;
  }
}

void quantize_floating(const QuantizeJob& job) {
  return job.rounding == Rounding::metal ? quantize_floating_with<Rounding::metal>(job)
                                         : quantize_floating_with<Rounding::cpu>(job);
}

// Scales of a block. False where one is NaN, infinite or not a normal number of dtype D.
template <DType D>
HWY_INLINE bool load_scales(const DequantizeJob& job, BlockFloats& scales) {
  alignas(64) uint8_t stored[block_groups] = {};
  std::memcpy(stored, job.scales, static_cast<size_t>(job.groups));
  const bool e4m3 = job.format.mode == QuantMode::nvfp4;
  const int least = D == DType::F16 ? 127 - 14 : 1;
  const int most = D == DType::F16 ? 127 + 15 : 254;
  for (int64_t g = 0; g < job.groups; ++g) {
    if (e4m3 ? (stored[g] & 0x7F) == 0x7F : stored[g] < least || stored[g] > most) return false;
  }
  for (int64_t i = 0; i < block_groups; i += lane_count) {
    const auto byte = hn::PromoteTo(words, hn::LoadU(bytes, stored + i));
    const auto power = float_of(hn::ShiftLeft<23>(byte));
    hn::Store(e4m3 ? Lanes<DType::F8_E4M3>::load(stored + i) : power, floats, scales.at + i);
  }
  return true;
}

// The values of E2M1 codes, through F16 as Lanes<F8_E4M3> does it.
HWY_INLINE FloatVector e2m1_values(const uint8_t* codes) {
  const hn::Rebind<hwy::float16_t, Floats> f16;
  const auto code = hn::PromoteTo(halves, hn::LoadU(bytes, codes));
  const auto sign = hn::ShiftLeft<12>(hn::And(code, hn::Set(halves, 8)));
  const auto half = hn::Or(sign, hn::ShiftLeft<9>(hn::And(code, hn::Set(halves, 7))));
  return hn::Mul(hn::PromoteTo(floats, hn::BitCast(f16, half)), hn::Set(floats, 0x1p14f));
}

template <DType D>
bool dequantize_floating_block(const DequantizeJob& job) {
  BlockFloats scales;
  if (!load_scales<D>(job, scales)) return false;
  const auto [mode, bits, group_size] = job.format;
  alignas(64) uint8_t codes[most_codes + packing_slack];
  alignas(64) uint8_t packed[most_codes + packing_slack];
  const int64_t count = job.groups * group_size;
  std::memcpy(bits == 4 ? packed : codes, job.packed, static_cast<size_t>(count * bits / 8));
  if (bits == 4) unpack_codes(4, packed, count, codes);
  auto* out = static_cast<typename Lanes<D>::Storage*>(job.out);
  const uint8_t* code = codes;
  for (int64_t g = 0; g < job.groups; ++g) {
    const auto scale = hn::Set(floats, scales.at[g]);
    for (int i = 0; i < group_size; i += lane_count, code += lane_count, out += lane_count) {
      const auto value = bits == 4 ? e2m1_values(code) : Lanes<DType::F8_E4M3>::load(code);
      Lanes<D>::store(hn::Mul(value, scale), out);
    }
  }
  return true;
}

void dequantize_floating(const DequantizeJob& job) {
  switch (job.out_dtype) {
    case DType::F32: return for_each_block(job, dequantize_floating_block<DType::F32>, reference_dequantize_floating);
    case DType::F16: return for_each_block(job, dequantize_floating_block<DType::F16>, reference_dequantize_floating);
    case DType::BF16: return for_each_block(job, dequantize_floating_block<DType::BF16>, reference_dequantize_floating);
    default: return;
  }
}

}  // namespace
}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
