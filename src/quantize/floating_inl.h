// Floating modes with vectors; reference_floating.cpp says what is computed. Compiled once for each instruction set.
#if defined(PIPPIN_QUANTIZE_FLOATING_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_QUANTIZE_FLOATING_INL_H
#undef PIPPIN_QUANTIZE_FLOATING_INL_H
#else
#define PIPPIN_QUANTIZE_FLOATING_INL_H
#endif

#include "quantize/range_inl.h"
#include "quantize/reference.h"
#include "tensor/element.h"

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
  const auto small =
      hn::Sub(bits_of(hn::Add(float_of(magnitude), hn::Set(floats, 0x1p14f))), hn::Set(words, 0x46800000));
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

// Nearest E2M1 number; between two, Metal takes the even code and keeps the sign of zero. Codes count steps of 0.5 up
// to 2, of 1 from there to 4, of 2 beyond: adding 2^22, 2^23 or 2^24, whose units those are, rounds to them. Of the
// three counts the least is right.
HWY_INLINE WordVector e2m1_code_even(FloatVector v) {
  const auto a = hn::Abs(v);
  const auto halves_counted = hn::Sub(bits_of(hn::Add(a, hn::Set(floats, 0x1p22f))), hn::Set(words, 0x4A800000));
  const auto ones_counted = hn::Sub(bits_of(hn::Add(a, hn::Set(floats, 0x1p23f))), hn::Set(words, 0x4B000000 - 2));
  const auto twos_counted = hn::Sub(bits_of(hn::Add(a, hn::Set(floats, 0x1p24f))), hn::Set(words, 0x4B800000 - 4));
  const auto code = hn::Min(hn::Min(halves_counted, ones_counted), hn::Min(twos_counted, hn::Set(words, 7)));
  return hn::Or(code, hn::And(hn::ShiftRight<28>(bits_of(v)), hn::Set(words, 8)));
}

// Nearest E2M1 number; between two, the CPU takes the smaller magnitude, and it takes 0 for -0.
HWY_INLINE WordVector e2m1_code_smaller(FloatVector v) {
  const auto a = hn::Abs(v);
  auto code = counted(hn::Zero(words), a, 0.25f);
  const auto is_zero = hn::Eq(code, hn::Zero(words));
  code = counted(code, a, 0.75f);
  code = counted(code, a, 1.25f);
  code = counted(code, a, 1.75f);
  code = counted(code, a, 2.5f);
  code = counted(code, a, 3.5f);
  code = counted(code, a, 5.0f);
  const auto sign = hn::And(hn::ShiftRight<28>(bits_of(v)), hn::Set(words, 8));
  return hn::Or(code, hn::IfThenZeroElse(is_zero, sign));
}

template <Rounding R>
HWY_INLINE WordVector e2m1_code(FloatVector v) {
  return R == Rounding::metal ? e2m1_code_even(v) : e2m1_code_smaller(v);
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

template <Rounding R, DType D, QuantMode M>
HWY_INLINE bool choose_floating_scales(FloatingBlock& block) {
  const auto most = hn::Set(floats, M == QuantMode::mxfp8 ? 448.0f : 6.0f);
  bool tame = true;
  for (int64_t i = 0; i < block_groups; i += lane_count) {
    auto fitting = hn::Div(hn::Load(floats, block.greatest.at + i), most);
    if constexpr (R == Rounding::cpu) fitting = Lanes<D>::rounded(fitting);
    tame &= M == QuantMode::nvfp4 ? choose_e4m3<R>(fitting, block, i) : choose_power_of_two<R>(fitting, block, i);
  }
  return tame;
}

template <Rounding R, DType D, QuantMode M>
HWY_INLINE WordVector floating_code_of(FloatVector v, FloatVector scale, FloatVector inverse) {
  if constexpr (R == Rounding::cpu && M == QuantMode::nvfp4) {
    return e2m1_code<R>(Lanes<D>::rounded(hn::Div(v, scale)));
  } else {
    // For the CPU's mx modes too: a power of two's inverse is exact, and rounding to the dtype changes only numbers far
    // below the least code.
    const auto scaled = hn::Mul(v, inverse);
    return M == QuantMode::mxfp8 ? e4m3_code(scaled) : e2m1_code<R>(scaled);
  }
}

template <Rounding R, DType D, QuantMode M>
HWY_INLINE void code_floating_groups(const QuantizeJob& job, const FloatingBlock& block, uint8_t* codes) {
  constexpr int bits = M == QuantMode::mxfp8 ? 8 : 4;
  constexpr int group_size = M == QuantMode::nvfp4 ? 16 : 32;
  // Values with even and odd index come from twice as many consecutive ones, which must be of one group.
  constexpr bool even_odd = loads_even_odd<D> && 2 * lane_count <= group_size;
  const auto* in = static_cast<const typename Lanes<D>::Storage*>(job.values);
  for (int64_t i = 0; i < job.groups * group_size; i += 2 * lane_count) {
    const int64_t g = i / group_size;
    const int64_t h = even_odd ? g : (i + lane_count) / group_size;
    FloatVector a, b;
    if constexpr (even_odd) {
      load_pair<D>(in + i, a, b);
    } else {
      a = Lanes<D>::load(in + i);
      b = Lanes<D>::load(in + i + lane_count);
    }
    const auto code_a =
        floating_code_of<R, D, M>(a, hn::Set(floats, block.scale.at[g]), hn::Set(floats, block.inverse.at[g]));
    const auto code_b =
        floating_code_of<R, D, M>(b, hn::Set(floats, block.scale.at[h]), hn::Set(floats, block.inverse.at[h]));
    store_pair<bits, even_odd>(code_a, code_b, codes);
    codes += 2 * lane_count / codes_a_byte<bits>;
  }
}

template <Rounding R, DType D, QuantMode M>
bool quantize_floating_block(const QuantizeJob& job) {
  constexpr int bits = M == QuantMode::mxfp8 ? 8 : 4;
  constexpr int group_size = M == QuantMode::nvfp4 ? 16 : 32;
  // With 16 values to a group an odd number of groups may end in the middle of a pair of vectors.
  if (job.groups * group_size % (2 * lane_count) != 0) return false;
  FloatingBlock block;
  if (!find_magnitudes<D, group_size>(job, block.greatest)) return false;
  if (!choose_floating_scales<R, D, M>(block)) return false;
  copy_groups(block.bytes, job.groups, job.scales);
  BlockCodes<bits> codes(job.packed);
  code_floating_groups<R, D, M>(job, block, codes.begin());
  codes.pack(job.groups * group_size);
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
    case QuantMode::affine:
      return;
  }
}

template <Rounding R>
void quantize_floating_with(const QuantizeJob& job) {
  for_dtype(job.dtype, [&job]<DType D>() { quantize_floating_from<R, D>(job); });
}

void quantize_floating(const QuantizeJob& job) {
  return job.rounding == Rounding::metal ? quantize_floating_with<Rounding::metal>(job)
                                         : quantize_floating_with<Rounding::cpu>(job);
}

// Scales of a block. False where a power of two is not a normal number of dtype D; E4M3 numbers all are, and NaN takes
// its way through a product by itself.
template <DType D>
HWY_INLINE bool load_scales(const DequantizeJob& job, BlockFloats& scales) {
  alignas(64) uint8_t stored[block_groups] = {};
  std::memcpy(stored, job.scales, static_cast<size_t>(job.groups));
  const bool e4m3 = job.format.mode == QuantMode::nvfp4;
  const int least = D == DType::F16 ? 127 - 14 : 1;
  const int most = D == DType::F16 ? 127 + 15 : 254;
  for (int64_t g = 0; g < job.groups; ++g) {
    if (!e4m3 && (stored[g] < least || stored[g] > most)) return false;
  }
  for (int64_t i = 0; i < block_groups; i += lane_count) {
    const auto power = float_of(hn::ShiftLeft<23>(hn::PromoteTo(words, hn::LoadU(bytes, stored + i))));
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

template <DType D, int bits>
bool dequantize_floating_block(const DequantizeJob& job) {
  BlockFloats scales;
  if (!load_scales<D>(job, scales)) return false;
  const int group_size = job.format.group_size;
  alignas(64) uint8_t unpacked[most_codes + packing_slack];
  const uint8_t* code = unpacked_codes<bits>(job.packed, job.groups * group_size, unpacked);
  auto* out = static_cast<typename Lanes<D>::Storage*>(job.out);
  for (int64_t g = 0; g < job.groups; ++g) {
    const auto scale = hn::Set(floats, scales.at[g]);
    for (int i = 0; i < group_size; i += lane_count, code += lane_count, out += lane_count) {
      const auto value = bits == 4 ? e2m1_values(code) : Lanes<DType::F8_E4M3>::load(code);
      Lanes<D>::store(hn::Mul(value, scale), out);
    }
  }
  return true;
}

template <DType D>
void dequantize_floating_to(const DequantizeJob& job) {
  constexpr auto reference = reference_dequantize_floating;
  return job.format.bits == 4 ? for_each_block(job, dequantize_floating_block<D, 4>, reference)
                              : for_each_block(job, dequantize_floating_block<D, 8>, reference);
}

void dequantize_floating(const DequantizeJob& job) {
  for_dtype(job.out_dtype, [&job]<DType D>() { dequantize_floating_to<D>(job); });
}

}  // namespace
}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
