// One value of a 16-bit or 8-bit floating-point format to float, and back. Every rounding is to nearest, ties to even.
//
// F16     1 sign, 5 exponent (bias 15), 10 mantissa bits: IEEE binary16
// BF16    1, 8 (bias 127), 7: the upper half of a binary32
// E4M3    1, 4 (bias 7), 3: no infinity, NaN is 0x7F and 0xFF, the largest value 448
// E5M2    1, 5 (bias 15), 2: the upper half of a binary16
// E8M0    8 exponent bits (bias 127) alone: powers of two from 2^-127 to 2^127, 0xFF is NaN
//
// The bits of a NaN follow MLX's own software types, so that they are the same on every machine.
#pragma once

#include <bit>
#include <cstdint>

namespace pippin {

inline float bf16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// Every NaN becomes 0x7FC0.
inline uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return 0x7FC0;
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// A NaN keeps its payload and becomes quiet.
inline float f16_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7FFF) << 13;
  if (magnitude >= 0x7C00u << 13) {
    const uint32_t quiet = magnitude > 0x7C00u << 13 ? 0x400000 : 0;
    return std::bit_cast<float>(sign | 0x7F800000 | magnitude | quiet);
  }
  // The exponent is 112 too small, also for subnormals: a multiplication mends both, exactly.
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(scaled));
}

// A NaN becomes 0x7D00 with its sign; values from 65520 on become infinity.
inline uint16_t float_to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  uint32_t half;
  if (magnitude > 0x7F800000) {
    half = 0x7D00;
  } else if (magnitude >= 0x477FF000) {
    half = 0x7C00;
  } else if (magnitude < 0x38800000) {
    // Below 2^-14 one unit is 2^-24: adding 0.5, whose unit is that, lets the addition round.
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3F000000;
  } else {
    half = (magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)) >> 13;
  }
  return static_cast<uint16_t>(sign | half);
}

inline float e4m3_to_float(uint8_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x80) << 24;
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7F) << 20;
  if (magnitude == 0x7Fu << 20) return std::bit_cast<float>(sign | 0x7FF00000);
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p120f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(scaled));
}

// As MLX: saturates at 448, and so do infinity and NaN; all keep their sign bit.
inline uint8_t float_to_e4m3(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 24 & 0x80;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  uint32_t code;
  if (magnitude >= 0x43E00000) {  // 448: from here on there is nothing to round
    code = 0x7E;
  } else if (magnitude < 0x3C800000) {
    // Below 2^-6 one unit is 2^-9, the unit of a float from 2^14 on.
    code = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0x1p14f) - 0x46800000;
  } else {
    code = (magnitude - 0x3C000000 + 0x7FFFF + (magnitude >> 20 & 1)) >> 20;
  }
  return static_cast<uint8_t>(sign | code);
}

inline float e5m2_to_float(uint8_t bits) {
  return f16_to_float(static_cast<uint16_t>(bits << 8));
}

inline float e8m0_to_float(uint8_t bits) {
  if (bits == 0xFF) return std::bit_cast<float>(0x7FC00000u);
  return std::bit_cast<float>(bits == 0 ? 0x400000u : static_cast<uint32_t>(bits) << 23);
}

}  // namespace pippin
