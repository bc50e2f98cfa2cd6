// Float operations whose NaN has the same bits on every machine, and codes in a bit stream.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace pippin {

// x86 answers an invalid operation with a negative NaN, ARM with a positive one, and compilers feel free to flip the
// sign of either. MLX's recorded results are x86's: the first NaN operand made quiet, or else the negative NaN.
inline float settled(float result, float a, float b) {
  if (!std::isnan(result)) return result;
  const uint32_t quiet = 0x00400000;
  if (std::isnan(a)) return std::bit_cast<float>(std::bit_cast<uint32_t>(a) | quiet);
  if (std::isnan(b)) return std::bit_cast<float>(std::bit_cast<uint32_t>(b) | quiet);
  return std::bit_cast<float>(0xFFC00000u);
}

inline float add(float a, float b) {
  return settled(a + b, a, b);
}
inline float subtract(float a, float b) {
  return settled(a - b, a, b);
}
inline float multiply(float a, float b) {
  return settled(a * b, a, b);
}
inline float divide(float a, float b) {
  return settled(a / b, a, b);
}

// Appends codes of `bits` bits (at most 8) to a little-endian bit stream. A group always fills whole bytes.
class CodeWriter {
 public:
  CodeWriter(void* bytes, int bits) : bytes_(static_cast<uint8_t*>(bytes)), bits_(bits) {}

  void put(uint32_t code) {
    pending_ |= code << held_;
    for (held_ += bits_; held_ >= 8; held_ -= 8) {
      *bytes_++ = static_cast<uint8_t>(pending_);
      pending_ >>= 8;
    }
  }

 private:
  uint8_t* bytes_;
  int bits_;
  uint32_t pending_ = 0;
  int held_ = 0;
};

class CodeReader {
 public:
  CodeReader(const void* bytes, int bits) : bytes_(static_cast<const uint8_t*>(bytes)), bits_(bits) {}

  uint32_t take() {
    for (; held_ < bits_; held_ += 8) pending_ |= static_cast<uint32_t>(*bytes_++) << held_;
    const uint32_t code = pending_ & ((1u << bits_) - 1);
    pending_ >>= bits_;
    held_ -= bits_;
    return code;
  }

 private:
  const uint8_t* bytes_;
  int bits_;
  uint32_t pending_ = 0;
  int held_ = 0;
};

}  // namespace pippin
