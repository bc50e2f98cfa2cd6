// Affine modes with vectors; reference_affine.cpp says what is computed. Compiled once for each instruction set.
#if defined(PIPPIN_QUANTIZE_AFFINE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_QUANTIZE_AFFINE_INL_H
#undef PIPPIN_QUANTIZE_AFFINE_INL_H
#else
#define PIPPIN_QUANTIZE_AFFINE_INL_H
#endif

#include "quantize/range_inl.h"
#include "quantize/reference.h"
#include "tensor/element.h"

#if PIPPIN_HAS_LANES
HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {
namespace {

struct AffineBlock {
  BlockFloats least;
  BlockFloats greatest;
  BlockFloats scale;
  BlockFloats bias;
  BlockFloats inverse;  // 1 / scale
};

// To an integer: halves away from zero (Metal) or to even.
template <Rounding R>
HWY_INLINE FloatVector rounded(FloatVector v) {
  if constexpr (R == Rounding::cpu) return hn::Round(v);
  // The float below one half: adding one half itself would round 0.49999997 up.
  return hn::Trunc(hn::Add(v, hn::CopySign(hn::Set(floats, 0x1.fffffep-2f), v)));
}

// False where a scale is extreme.
template <Rounding R, int bits>
HWY_INLINE bool choose_scales(AffineBlock& block) {
  const auto steps = hn::Set(floats, static_cast<float>((1 << bits) - 1));
  const auto least_scale = hn::Set(floats, 1e-7f);
  bool tame = true;
  for (int64_t i = 0; i < block_groups; i += lane_count) {
    const auto least = hn::Load(floats, block.least.at + i);
    const auto found = hn::Load(floats, block.greatest.at + i);
    const auto greatest = R == Rounding::metal ? hn::Max(found, hn::Zero(floats)) : found;
    const auto span = hn::Sub(greatest, least);
    auto scale = hn::Max(span, least_scale);
    auto bias = least;
    if constexpr (bits > 1) {
      const auto from_least = hn::Gt(hn::Abs(least), hn::Abs(greatest));
      const auto size = hn::Max(hn::Div(span, steps), least_scale);
      const auto first = hn::IfThenElse(from_least, size, hn::Neg(size));
      const auto edge = hn::IfThenElse(from_least, least, greatest);
      const auto steps_to_zero = rounded<R>(hn::Div(edge, first));
      const auto at_zero = hn::Eq(steps_to_zero, hn::Zero(floats));
      scale = hn::IfThenElse(at_zero, first, hn::Div(edge, steps_to_zero));
      bias = hn::IfThenZeroElse(at_zero, edge);
    }
    const auto size = hn::Abs(scale);
    tame &=
        hn::AllTrue(floats, hn::And(hn::Ge(size, hn::Set(floats, 0x1p-30f)), hn::Le(size, hn::Set(floats, 0x1p100f))));
    hn::Store(scale, floats, block.scale.at + i);
    hn::Store(bias, floats, block.bias.at + i);
    hn::Store(hn::Div(hn::Set(floats, 1.0f), scale), floats, block.inverse.at + i);
  }
  return tame;
}

struct Coding {
  FloatVector bias;
  FloatVector scale;
  FloatVector inverse;
  IntegerVector most;
};

template <Rounding R>
HWY_INLINE WordVector code_of(FloatVector v, const Coding& by) {
  const auto code = quotient(hn::Sub(v, by.bias), by.scale, by.inverse);
  // No code is below -0.5, so that truncating serves for rounding halves up.
  const auto integer = R == Rounding::cpu ? nearest(code) : truncated(hn::Add(code, hn::Set(floats, 0x1.fffffep-2f)));
  return hn::BitCast(words, hn::Min(integer, by.most));
}

template <Rounding R, DType D, int bits>
HWY_INLINE void code_groups(const QuantizeJob& job, const AffineBlock& block, uint8_t* codes) {
  const auto* in = static_cast<const typename Lanes<D>::Storage*>(job.values);
  const auto most = hn::Set(integers, (1 << bits) - 1);
  for (int64_t g = 0; g < job.groups; ++g) {
    const Coding by{hn::Set(floats, block.bias.at[g]), hn::Set(floats, block.scale.at[g]),
                    hn::Set(floats, block.inverse.at[g]), most};
    for (int i = 0; i < job.format.group_size; i += 2 * lane_count) {
      FloatVector a, b;
      load_pair<D>(in, a, b);
      store_pair<bits, loads_even_odd<D>>(code_of<R>(a, by), code_of<R>(b, by), codes);
      in += 2 * lane_count;
      codes += 2 * lane_count / codes_a_byte<bits>;
    }
  }
}

// With 1 bit the least value itself is the bias, and the vectors do not know which of 0 and -0 came first.
template <int bits>
HWY_INLINE bool bias_is_a_zero(const QuantizeJob& job, const AffineBlock& block) {
  bool found = false;
  for (int64_t g = 0; g < job.groups; ++g) found |= block.least.at[g] == 0;
  return bits == 1 && found;
}

template <Rounding R, DType D, int bits>
bool quantize_affine_block(const QuantizeJob& job) {
  AffineBlock block;
  if (!find_ranges<D>(job, block.least, block.greatest) || !choose_scales<R, bits>(block)) return false;
  if (bias_is_a_zero<bits>(job, block)) return false;
  store_floats<D>(block.scale, job.groups, job.scales);
  store_floats<D>(block.bias, job.groups, job.biases);
  BlockCodes<bits> codes(job.packed);
  code_groups<R, D, bits>(job, block, codes.begin());
  codes.pack(job.groups * job.format.group_size);
  return true;
}

template <Rounding R, DType D>
void quantize_affine_from(const QuantizeJob& job) {
  constexpr auto reference = reference_quantize_affine;
  switch (job.format.bits) {
    case 1:
      return for_each_block(job, quantize_affine_block<R, D, 1>, reference);
    case 2:
      return for_each_block(job, quantize_affine_block<R, D, 2>, reference);
    case 3:
      return for_each_block(job, quantize_affine_block<R, D, 3>, reference);
    case 4:
      return for_each_block(job, quantize_affine_block<R, D, 4>, reference);
    case 5:
      return for_each_block(job, quantize_affine_block<R, D, 5>, reference);
    case 6:
      return for_each_block(job, quantize_affine_block<R, D, 6>, reference);
    default:
      return for_each_block(job, quantize_affine_block<R, D, 8>, reference);
  }
}

template <Rounding R>
void quantize_affine_with(const QuantizeJob& job) {
  for_dtype(job.dtype, [&job]<DType D>() { quantize_affine_from<R, D>(job); });
}

void quantize_affine(const QuantizeJob& job) {
  return job.rounding == Rounding::metal ? quantize_affine_with<Rounding::metal>(job)
                                         : quantize_affine_with<Rounding::cpu>(job);
}

// The scales or biases of a block as floats; false where one is not finite.
template <DType D>
HWY_INLINE bool load_floats(const void* in, int64_t count, BlockFloats& out) {
  alignas(64) typename Lanes<D>::Storage stored[block_groups] = {};
  std::memcpy(stored, in, static_cast<size_t>(count) * sizeof(stored[0]));
  FiniteCheck check;
  for (int64_t i = 0; i < block_groups; i += lane_count) {
    const auto v = Lanes<D>::load(stored + i);
    check.see(v);
    hn::Store(v, floats, out.at + i);
  }
  return check.all_finite();
}

template <DType D, int bits>
bool dequantize_affine_block(const DequantizeJob& job) {
  BlockFloats scales, biases;
  if (!load_floats<D>(job.scales, job.groups, scales) || !load_floats<D>(job.biases, job.groups, biases)) return false;
  const int group_size = job.format.group_size;
  alignas(64) uint8_t unpacked[most_codes + packing_slack];
  const uint8_t* code = unpacked_codes<bits>(job.packed, job.groups * group_size, unpacked);
  auto* out = static_cast<typename Lanes<D>::Storage*>(job.out);
  for (int64_t g = 0; g < job.groups; ++g) {
    const auto scale = hn::Set(floats, scales.at[g]);
    const auto bias = hn::Set(floats, biases.at[g]);
    for (int i = 0; i < group_size; i += lane_count, code += lane_count, out += lane_count) {
      const auto value = hn::ConvertTo(floats, hn::PromoteTo(integers, hn::LoadU(bytes, code)));
      Lanes<D>::store(hn::Add(Lanes<D>::rounded(hn::Mul(value, scale)), bias), out);
    }
  }
  return true;
}

template <DType D>
void dequantize_affine_to(const DequantizeJob& job) {
  constexpr auto reference = reference_dequantize_affine;
  switch (job.format.bits) {
    case 1:
      return for_each_block(job, dequantize_affine_block<D, 1>, reference);
    case 2:
      return for_each_block(job, dequantize_affine_block<D, 2>, reference);
    case 3:
      return for_each_block(job, dequantize_affine_block<D, 3>, reference);
    case 4:
      return for_each_block(job, dequantize_affine_block<D, 4>, reference);
    case 5:
      return for_each_block(job, dequantize_affine_block<D, 5>, reference);
    case 6:
      return for_each_block(job, dequantize_affine_block<D, 6>, reference);
    default:
      return for_each_block(job, dequantize_affine_block<D, 8>, reference);
  }
}

void dequantize_affine(const DequantizeJob& job) {
  for_dtype(job.scale_dtype, [&job]<DType D>() { dequantize_affine_to<D>(job); });
}

}  // namespace
}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
