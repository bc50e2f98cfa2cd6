// Small integer codes in 32-bit words, and exponents of floats.
#pragma once

#include <cstdint>

namespace pippin {

// Writes 32 / bits codes a word, lowest bits first; with awq (4 bits) in AWQ's order, so that they come out in
// sequence.
void unpack_words(const uint32_t* words, int64_t count, int bits, bool awq, uint8_t* codes);

// The inverse: `count` words of 32 / bits codes each. Codes have no bits beyond `bits`.
void pack_words(const uint8_t* codes, int64_t count, int bits, uint32_t* words);

// The exponent fields of float32 bit patterns.
void exponents(const uint32_t* floats, int64_t count, uint8_t* out);

}  // namespace pippin
