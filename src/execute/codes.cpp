#include "execute/codes.h"

#include <array>
#include <cstddef>

namespace pippin {

void unpack_words(const uint32_t* words, int64_t count, int bits, bool awq, uint8_t* codes) {
  // The place, in 4-bit steps, of each code of an AWQ word.
  static constexpr std::array<int, 8> awq_order{0, 4, 1, 5, 2, 6, 3, 7};
  const int a_word = 32 / bits;
  const uint32_t mask = (1U << bits) - 1;
  for (int64_t i = 0; i < count; ++i) {
    for (int k = 0; k < a_word; ++k) {
      const int place = awq ? awq_order[static_cast<size_t>(k)] : k;
      *codes++ = static_cast<uint8_t>((words[i] >> (place * bits)) & mask);
    }
  }
}

void pack_words(const uint8_t* codes, int64_t count, int bits, uint32_t* words) {
  const int a_word = 32 / bits;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t word = 0;
    for (int k = 0; k < a_word; ++k) word |= static_cast<uint32_t>(*codes++) << (k * bits);
    words[i] = word;
  }
}

void exponents(const uint32_t* floats, int64_t count, uint8_t* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>((floats[i] >> 23) & 0xFF);
}

}  // namespace pippin
