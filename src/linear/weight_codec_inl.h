// How each form of weight becomes vectors of floats. Compiled once for each instruction set.
//
// A codec reads blocks of lane_count * per_lane codes. Vector j of a block holds, in lane l, code l * per_lane + j: a
// shift and a mask then take all lanes' codes out of their words at once. Dense values come as they lie.
#if defined(PIPPIN_LINEAR_WEIGHT_CODEC_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_LINEAR_WEIGHT_CODEC_INL_H
#undef PIPPIN_LINEAR_WEIGHT_CODEC_INL_H
#else
#define PIPPIN_LINEAR_WEIGHT_CODEC_INL_H
#endif

#include <cstring>

#include "linear/weight_view.h"
#include "quantize/code_packing_inl.h"
#include "tensor/lanes_inl.h"

#if PIPPIN_HAS_LANES
HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {

// A codec's load() may read `slack` bytes beyond its block; load_end() reads but `there` bytes and takes zeros for the
// rest. The buffer of a block that has to be copied must live as long as what was loaded.
struct BlockBuffer {
  alignas(64) uint8_t bytes[16 * lane_count + 16];

  HWY_INLINE const uint8_t* copied(const uint8_t* in, int64_t there) {
    std::memset(bytes, 0, sizeof(bytes));
    std::memcpy(bytes, in, static_cast<size_t>(there));
    return bytes;
  }
};

HWY_INLINE FloatVector float_of_integer(WordVector v) {
  return hn::ConvertTo(floats, hn::BitCast(integers, v));
}

// Bits j * bits .. of each lane; what is above is cut off.
template <int bits, int j>
HWY_INLINE WordVector code_bits(WordVector v) {
  constexpr bool is_top = (j + 1) * bits == 32;
  const auto shifted = hn::ShiftRight<j * bits>(v);
  return is_top ? shifted : hn::And(shifted, hn::Set(words, (1u << bits) - 1));
}

// As code_bits(), for indices of a table of 16: only their low 4 bits count, for the instruction. Highway's checks of
// indices in debug builds do not know that.
template <int j>
HWY_INLINE WordVector nibble_index(WordVector v) {
#if HWY_IS_DEBUG_BUILD
  return code_bits<4, j>(v);
#else
  return hn::ShiftRight<4 * j>(v);
#endif
}

// Widths that divide a word: a lane is a word.
template <int bits>
struct WholeWords {
  static constexpr int64_t per_lane = 32 / bits;
  static constexpr int64_t block_bytes = 4 * lane_count;
  static constexpr int64_t slack = 0;
  using Raw = WordVector;

  static HWY_INLINE Raw load(const uint8_t* in) { return hn::LoadU(words, reinterpret_cast<const uint32_t*>(in)); }
  static HWY_INLINE Raw load_end(const uint8_t* in, int64_t there, BlockBuffer& buffer) {
#if HWY_ARCH_X86
    const auto mask = hn::FirstN(words, static_cast<size_t>(there / 4));
    return hn::MaskedLoad(mask, words, reinterpret_cast<const uint32_t*>(in));
#else
    return load(buffer.copied(in, there));
#endif
  }
};

// Other widths: 8 codes are `bits` bytes. A lane gets 4 of them, at the bottom.
template <int bits>
struct PartWords {
  static constexpr int64_t per_lane = 4;
  static constexpr int64_t block_bytes = lane_count * bits / 2;
  static constexpr int64_t slack = 16;
  using Raw = WordVector;

  // The even lanes' codes begin at bit 0 of a byte, the odd ones' at bit 4 bits % 8.
  static HWY_INLINE Raw load(const uint8_t* in) {
    const auto order = hn::LoadDup128(Codes(), spread.bytes);
    const auto v = hn::BitCast(words, hn::TableLookupBytes(load_blocks(Codes(), in, 2 * bits), order));
    if constexpr (4 * bits % 8 == 0) return v;
    return hn::OddEven(hn::ShiftRight<4>(v), v);
  }
  static HWY_INLINE Raw load_end(const uint8_t* in, int64_t there, BlockBuffer& buffer) {
    return load(buffer.copied(in, there));
  }

 private:
  struct Spread {
    alignas(16) uint8_t bytes[16];
    constexpr Spread() : bytes() {
      for (int i = 0; i < 16; ++i) {
        const int begin = i / 8 * bits + (i / 4 % 2) * (4 * bits / 8);
        bytes[i] = static_cast<uint8_t>(begin + i % 4 < 16 ? begin + i % 4 : 15);
      }
    }
  };
  static constexpr Spread spread{};
};

template <int bits>
struct AffineCodec : std::conditional_t<32 % bits == 0, WholeWords<bits>, PartWords<bits>> {
  static constexpr bool is_quantized = true;
  static constexpr bool has_biases = true;

  template <int j>
  static HWY_INLINE FloatVector value(WordVector raw) {
    if constexpr (bits == 4 && lane_count == 16) {
      alignas(64) static constexpr float table[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
      const auto index = hn::BitCast(integers, nibble_index<j>(raw));
      return hn::TableLookupLanes(hn::Load(floats, table), hn::IndicesFromVec(floats, index));
    } else {
      return float_of_integer(code_bits<bits, j>(raw));
    }
  }
};

// 1 sign, 2 exponent, 1 mantissa bit.
struct E2m1Codec : WholeWords<4> {
  static constexpr bool is_quantized = true;
  static constexpr bool has_biases = false;

  template <int j>
  static HWY_INLINE FloatVector value(WordVector raw) {
    if constexpr (lane_count == 16) {
      alignas(64) static constexpr float table[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                                      -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
      return hn::TableLookupLanes(hn::Load(floats, table), hn::IndicesFromVec(floats, nibble_index<j>(raw)));
    } else {
      // Twice the value as a byte.
      alignas(16) static constexpr uint8_t table[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, 255, 254, 253, 252, 250, 248, 244};
      const auto index = hn::BitCast(Codes(), code_bits<4, j>(raw));
      const auto twice = hn::BitCast(integers, hn::TableLookupBytes(hn::LoadDup128(Codes(), table), index));
      const auto wide = hn::ShiftRight<24>(hn::ShiftLeft<24>(twice));
      return hn::Mul(hn::ConvertTo(floats, wide), hn::Set(floats, 0.5f));
    }
  }
};

// 1 sign, 4 exponent (bias 7), 3 mantissa bits; 0x7F is NaN. Never by way of a subnormal float, which is slow.
struct E4m3Codec : WholeWords<8> {
  static constexpr bool is_quantized = true;
  static constexpr bool has_biases = false;

  template <int j>
  static HWY_INLINE FloatVector value(WordVector raw) {
    const auto top = hn::ShiftLeft<24 - 8 * j>(raw);
    const auto sign = hn::And(top, hn::Set(words, 0x80000000u));
    const auto magnitude = hn::ShiftRight<4>(hn::And(top, hn::Set(words, 0x7F000000u)));
    const auto normal = float_of(hn::Add(magnitude, hn::Set(words, 120u << 23)));
    const auto tiny = hn::Sub(hn::Add(normal, normal), hn::Set(floats, 0x1p-6f));
    const auto is_tiny = hn::RebindMask(floats, hn::Lt(magnitude, hn::Set(words, 1u << 23)));
    const auto nan = hn::Set(words, 0x7FC00000u);
    const auto finite = bits_of(hn::IfThenElse(is_tiny, tiny, normal));
    const auto found = hn::IfThenElse(hn::Eq(magnitude, hn::Set(words, 0x7Fu << 20)), nan, finite);
    return float_of(hn::Or(found, sign));
  }
};

template <DType D>
struct DenseCodec {
  using Storage = typename Lanes<D>::Storage;
  static constexpr int64_t per_lane = 4;
  static constexpr int64_t block_bytes = 4 * lane_count * static_cast<int64_t>(sizeof(Storage));
  static constexpr bool is_quantized = false;
  static constexpr int64_t slack = 0;
  static constexpr bool has_biases = false;
  using Raw = const uint8_t*;

  static HWY_INLINE Raw load(const uint8_t* in) { return in; }
  static HWY_INLINE Raw load_end(const uint8_t* in, int64_t there, BlockBuffer& buffer) {
    return buffer.copied(in, there);
  }
  template <int j>
  static HWY_INLINE FloatVector value(Raw raw) {
    return Lanes<D>::load(reinterpret_cast<const Storage*>(raw) + j * lane_count);
  }
};

// Calls call.operator()<Codec>() with the weight's codec.
template <typename Call>
void for_codec(const WeightView& weight, const Call& call) {
  if (!weight.format) {
    if (weight.dtype == DType::BF16) return call.template operator()<DenseCodec<DType::BF16>>();
    if (weight.dtype == DType::F16) return call.template operator()<DenseCodec<DType::F16>>();
    return call.template operator()<DenseCodec<DType::F32>>();
  }
  if (weight.format->mode == QuantMode::mxfp8) return call.template operator()<E4m3Codec>();
  if (weight.format->mode != QuantMode::affine) return call.template operator()<E2m1Codec>();
  switch (weight.format->bits) {
    case 1:
      return call.template operator()<AffineCodec<1>>();
    case 2:
      return call.template operator()<AffineCodec<2>>();
    case 3:
      return call.template operator()<AffineCodec<3>>();
    case 4:
      return call.template operator()<AffineCodec<4>>();
    case 5:
      return call.template operator()<AffineCodec<5>>();
    case 6:
      return call.template operator()<AffineCodec<6>>();
    default:
      return call.template operator()<AffineCodec<8>>();
  }
}

}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
