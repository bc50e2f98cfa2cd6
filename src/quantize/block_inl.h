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

// Whether load_pair() gives the values with even and with odd index, which takes no shuffle, or the first and the
// second half.
template <DType D>
inline constexpr bool loads_even_odd = D == DType::BF16;

// 2 * lane_count consecutive values.
template <DType D>
HWY_INLINE void load_pair(const typename Lanes<D>::Storage* in, FloatVector& a, FloatVector& b) {
  if constexpr (loads_even_odd<D>) {
    const auto both = hn::BitCast(words, hn::LoadU(Codes16(), in));
    a = float_of(hn::ShiftLeft<16>(both));
    b = float_of(hn::And(both, hn::Set(words, 0xFFFF0000u)));
  } else {
    a = Lanes<D>::load(in);
    b = Lanes<D>::load(in + lane_count);
  }
}

// How many codes share a byte on their way to the packed form, and the bits a byte then holds.
template <int bits>
inline constexpr int codes_a_byte = bits <= 4 ? 2 : 1;

// Stores the codes of 2 * lane_count values in the values' order, codes_a_byte<bits> to a byte.
template <int bits, bool even_odd>
HWY_INLINE void store_pair(WordVector a, WordVector b, uint8_t* out) {
  constexpr int distance = codes_a_byte<bits> == 2 ? bits : 8;
  auto both = hn::Or(a, hn::ShiftLeft<distance>(b));
  if constexpr (!even_odd) {
    const auto ordered =
        hn::BitCast(words, hn::ConcatEven(Codes16(), hn::BitCast(Codes16(), b), hn::BitCast(Codes16(), a)));
    both = hn::Or(ordered, hn::ShiftRight<16 - distance>(ordered));
  }
  if constexpr (codes_a_byte<bits> == 2) {
    hn::StoreU(hn::TruncateTo(bytes, both), bytes, out);
  } else {
    const hn::Repartition<uint8_t, Halves> wide_bytes;
    hn::StoreU(hn::BitCast(wide_bytes, hn::TruncateTo(halves, both)), wide_bytes, out);
  }
}

// Codes of a block on their way to the packed form.
template <int bits>
class BlockCodes {
 public:
  explicit HWY_INLINE BlockCodes(void* packed) : packed_(static_cast<uint8_t*>(packed)) {}

  // Where store_pair() puts them: at once to their place where it fills whole bytes.
  HWY_INLINE uint8_t* begin() { return at_once ? packed_ : codes_; }

  // Packs the first `count`.
  HWY_INLINE void pack(int64_t count) const {
    if constexpr (at_once) return;
    alignas(64) uint8_t packed[most_codes + packing_slack];
    pack_codes<byte_bits>(codes_, count / codes_a_byte<bits>, packed);
    std::memcpy(packed_, packed, static_cast<size_t>(count * bits / 8));
  }

 private:
  static constexpr int byte_bits = bits * codes_a_byte<bits>;
  static constexpr bool at_once = byte_bits == 8;
  uint8_t* packed_;
  alignas(64) uint8_t codes_[at_once ? 64 : most_codes + packing_slack];
};

// The codes of a packed block, one a byte: where they lie already, or unpacked into the buffer.
template <int bits>
HWY_INLINE const uint8_t* unpacked_codes(const void* in, int64_t count, uint8_t (&buffer)[most_codes + packing_slack]) {
  if constexpr (bits == 8) return static_cast<const uint8_t*>(in);
  alignas(64) uint8_t packed[most_codes + packing_slack];
  std::memcpy(packed, in, static_cast<size_t>(count * bits / 8));
  unpack_codes<bits>(packed, count, buffer);
  return buffer;
}

// Integer part and nearest integer (ties to even) of small numbers, without Highway's care for what does not fit.
HWY_INLINE IntegerVector truncated(FloatVector v) {
#if HWY_TARGET <= HWY_AVX3
  return IntegerVector{_mm512_cvttps_epi32(v.raw)};
#elif HWY_TARGET == HWY_AVX2
  return IntegerVector{_mm256_cvttps_epi32(v.raw)};
#else
  return hn::ConvertTo(integers, v);
#endif
}

HWY_INLINE IntegerVector nearest(FloatVector v) {
#if HWY_TARGET <= HWY_AVX3
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

// Copies what belongs to the first `count` groups of a block. Nearly all blocks are full, and then the size is known.
template <typename T>
HWY_INLINE void copy_groups(const T (&in)[block_groups], int64_t count, void* out) {
  if (count == block_groups) {
    std::memcpy(out, in, sizeof(in));
  } else {
    std::memcpy(out, in, static_cast<size_t>(count) * sizeof(T));
  }
}

// Rounds a block's floats to dtype D and writes the first `count`.
template <DType D>
HWY_INLINE void store_floats(const BlockFloats& values, int64_t count, void* out) {
  alignas(64) typename Lanes<D>::Storage stored[block_groups];
  for (int64_t i = 0; i < block_groups; i += lane_count) {
    Lanes<D>::store(hn::Load(floats, values.at + i), stored + i);
  }
  copy_groups(stored, count, out);
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
