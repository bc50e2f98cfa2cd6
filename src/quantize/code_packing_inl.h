// Codes, one a byte, to and from MLX's packed form: a little-endian stream of `bits` bits a code.
// Compiled once for each instruction set.
#if defined(PIPPIN_QUANTIZE_CODE_PACKING_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIPPIN_QUANTIZE_CODE_PACKING_INL_H
#undef PIPPIN_QUANTIZE_CODE_PACKING_INL_H
#else
#define PIPPIN_QUANTIZE_CODE_PACKING_INL_H
#endif

#include "tensor/lanes_inl.h"

#if PIPPIN_HAS_LANES
HWY_BEFORE_NAMESPACE();
namespace pippin::HWY_NAMESPACE {

// Full vectors of unsigned lanes.
using Codes = hn::Repartition<uint8_t, Floats>;
using Codes16 = hn::Repartition<uint16_t, Floats>;
using Codes32 = hn::Repartition<uint32_t, Floats>;
using Codes64 = hn::Repartition<uint64_t, Floats>;
constexpr int64_t code_lanes = 4 * lane_count;

// How far packing and unpacking may touch their buffers beyond the end.
constexpr int64_t packing_slack = 128;

// Folding joins the codes of a lane's two halves, each of which holds `used` bits; unfolding parts them.
template <int used, typename D, typename V>
HWY_INLINE V folded(D tag, V v) {
  using T = hn::TFromD<D>;
  constexpr int half = static_cast<int>(sizeof(T)) * 4;
  constexpr T low = static_cast<T>((T{1} << used) - 1);
  constexpr T high = static_cast<T>(low << used);
  return hn::Or(hn::And(v, hn::Set(tag, low)), hn::And(hn::ShiftRight<half - used>(v), hn::Set(tag, high)));
}

template <int used, typename D, typename V>
HWY_INLINE V unfolded(D tag, V v) {
  using T = hn::TFromD<D>;
  constexpr int half = static_cast<int>(sizeof(T)) * 4;
  constexpr T low = static_cast<T>((T{1} << used) - 1);
  constexpr T high = static_cast<T>(low << half);
  return hn::Or(hn::And(v, hn::Set(tag, low)), hn::And(hn::ShiftLeft<half - used>(v), hn::Set(tag, high)));
}

// In each block of 16 bytes: the `bits` low bytes of both 64-bit lanes side by side, and the inverse.
template <int bits>
struct ByteOrder {
  alignas(16) uint8_t gather[16];
  alignas(16) uint8_t spread[16];
  constexpr ByteOrder() : gather(), spread() {
    for (int i = 0; i < 16; ++i) {
      gather[i] = static_cast<uint8_t>(i < bits ? i : i < 2 * bits ? 8 + i - bits : 0);
      spread[i] = static_cast<uint8_t>(i % 8 < bits ? i / 8 * bits + i % 8 : 0);
    }
  }
};
template <int bits>
inline constexpr ByteOrder<bits> byte_order{};

// Packs code_lanes codes; returns the bytes it takes. May write up to 16 bytes.
template <int bits>
HWY_INLINE int64_t pack_vector(const uint8_t* codes, uint8_t* out) {
  const auto v8 = hn::LoadU(Codes(), codes);
  if constexpr (bits == 8) {
    hn::StoreU(v8, Codes(), out);
  } else if constexpr (bits == 1) {
    hn::StoreMaskBits(Codes(), hn::Ne(v8, hn::Zero(Codes())), out);
  } else {
    const auto v16 = folded<bits>(Codes16(), hn::BitCast(Codes16(), v8));
    if constexpr (bits == 4) {
      const hn::Rebind<uint8_t, Codes16> narrow;
      hn::StoreU(hn::TruncateTo(narrow, v16), narrow, out);
    } else {
      const auto v32 = folded<2 * bits>(Codes32(), hn::BitCast(Codes32(), v16));
      if constexpr (bits == 2) {
        const hn::Rebind<uint8_t, Codes32> narrow;
        hn::StoreU(hn::TruncateTo(narrow, v32), narrow, out);
      } else {
        const auto v64 = folded<4 * bits>(Codes64(), hn::BitCast(Codes64(), v32));
        const auto order = hn::LoadDup128(Codes(), byte_order<bits>.gather);
        alignas(64) uint8_t blocks[code_lanes];
        hn::Store(hn::TableLookupBytes(hn::BitCast(Codes(), v64), order), Codes(), blocks);
        const hn::Full128<uint8_t> block;
        for (int64_t i = 0; i < code_lanes / 16; ++i) {
          hn::StoreU(hn::Load(block, blocks + 16 * i), block, out + 2 * bits * i);
        }
      }
    }
  }
  return code_lanes * bits / 8;
}

// Blocks of 16 bytes that begin `distance` bytes apart.
template <typename D>
HWY_INLINE hn::Vec<D> load_blocks(D tag, const uint8_t* in, int distance) {
  if constexpr (hn::MaxLanes(D()) == 16) {
    return hn::LoadU(tag, in);
  } else {
    const hn::Half<D> half;
    const auto next = in + static_cast<int64_t>(hn::MaxLanes(half)) / 16 * distance;
    return hn::Combine(tag, load_blocks(half, next, distance), load_blocks(half, in, distance));
  }
}

// The inverse; returns the bytes consumed.
template <int bits>
HWY_INLINE int64_t unpack_vector(const uint8_t* packed, uint8_t* codes) {
  if constexpr (bits == 8) {
    hn::StoreU(hn::LoadU(Codes(), packed), Codes(), codes);
  } else if constexpr (bits == 4) {
    const hn::Rebind<uint8_t, Codes16> narrow;
    const auto v16 = hn::PromoteTo(Codes16(), hn::LoadU(narrow, packed));
    hn::StoreU(hn::BitCast(Codes(), unfolded<4>(Codes16(), v16)), Codes(), codes);
  } else if constexpr (bits == 2) {
    const hn::Rebind<uint8_t, Codes32> narrow;
    const auto v32 = unfolded<4>(Codes32(), hn::PromoteTo(Codes32(), hn::LoadU(narrow, packed)));
    hn::StoreU(hn::BitCast(Codes(), unfolded<2>(Codes16(), hn::BitCast(Codes16(), v32))), Codes(), codes);
  } else {
    const auto order = hn::LoadDup128(Codes(), byte_order<bits>.spread);
    const auto v64 = hn::BitCast(Codes64(), hn::TableLookupBytes(load_blocks(Codes(), packed, 2 * bits), order));
    const auto v32 = hn::BitCast(Codes32(), unfolded<4 * bits>(Codes64(), v64));
    const auto v16 = hn::BitCast(Codes16(), unfolded<2 * bits>(Codes32(), v32));
    hn::StoreU(hn::BitCast(Codes(), unfolded<bits>(Codes16(), v16)), Codes(), codes);
  }
  return code_lanes * bits / 8;
}

// Both buffers must have packing_slack bytes more than they need.
template <int bits>
HWY_INLINE void pack_codes(const uint8_t* codes, int64_t count, uint8_t* out) {
  for (int64_t i = 0; i < count; i += code_lanes) out += pack_vector<bits>(codes + i, out);
}

template <int bits>
HWY_INLINE void unpack_codes(const uint8_t* packed, int64_t count, uint8_t* codes) {
  for (int64_t i = 0; i < count; i += code_lanes) packed += unpack_vector<bits>(packed, codes + i);
}

}  // namespace pippin::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif
