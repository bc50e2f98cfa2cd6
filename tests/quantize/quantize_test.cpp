#include "quantize/quantize.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

using namespace pippin;
using testing::Each;
using testing::ElementsAre;

namespace {

constexpr QuantFormat four_bits{QuantMode::affine, 4, 32};
constexpr float infinity = std::numeric_limits<float>::infinity();

struct Packed {
  std::array<uint32_t, 4> words{};
  float scale = 0;
  float bias = 0;
};

Packed quantized(const std::array<float, 32>& row, Rounding rounding) {
  Packed out;
  quantize_rows(four_bits, rounding, DType::F32, row.data(), 1, 32, out.words.data(), &out.scale, &out.bias);
  return out;
}

}  // namespace

TEST(PackedRow, CountsWordsAndGroups) {
  EXPECT_EQ(packed_row({QuantMode::affine, 4, 64}, 128).words, 16);
  EXPECT_EQ(packed_row({QuantMode::affine, 4, 64}, 128).groups, 2);
  EXPECT_EQ(packed_row({QuantMode::affine, 3, 32}, 32).words, 3);
  EXPECT_EQ(packed_row({QuantMode::nvfp4, 4, 16}, 48).words, 6);
  EXPECT_EQ(packed_row({QuantMode::nvfp4, 4, 16}, 48).groups, 3);
}

TEST(QuantizeRows, ARampHasItsEdgeAsBiasAndCodesFromTheLowBitsUp) {
  std::array<float, 32> row;
  for (int i = 0; i < 32; ++i) row[i] = static_cast<float>(i % 16);
  const Packed out = quantized(row, Rounding::metal);
  EXPECT_EQ(out.scale, -1.0f);
  EXPECT_EQ(out.bias, 15.0f);
  EXPECT_THAT(out.words, ElementsAre(0x89ABCDEF, 0x01234567, 0x89ABCDEF, 0x01234567));
}

TEST(QuantizeRows, MetalTakesHalvesAwayFromZeroAndTheCpuToEven) {
  std::array<float, 32> row{};
  row[0] = -8;
  row[1] = 7;
  row[2] = -5.5f;  // code 2.5
  EXPECT_EQ(quantized(row, Rounding::metal).words[0], 0x888883F0);
  EXPECT_EQ(quantized(row, Rounding::cpu).words[0], 0x888882F0);
}

TEST(QuantizeRows, MetalCountsZeroIntoARangeOfNegativeValues) {
  std::array<float, 32> row;
  row.fill(-15);
  row[0] = -7.5f;
  EXPECT_EQ(quantized(row, Rounding::metal).scale, 1.0f);
  EXPECT_EQ(quantized(row, Rounding::cpu).scale, 0.5f);
}

TEST(QuantizeRows, RowsFollowEachOther) {
  std::array<float, 64> rows;
  std::iota(rows.begin(), rows.end(), -20.0f);
  std::array<uint32_t, 8> words;
  std::array<float, 2> scales;
  std::array<float, 2> biases;
  quantize_rows(four_bits, Rounding::metal, DType::F32, rows.data(), 2, 32, words.data(), scales.data(), biases.data());
  std::array<float, 64> back;
  dequantize_rows(four_bits, DType::F32, words.data(), scales.data(), biases.data(), 2, 32, back.data(), DType::F32);
  for (size_t i = 0; i < 64; ++i) EXPECT_NEAR(back[i], rows[i], std::abs(scales[i / 32]) / 2) << i;
}

TEST(QuantizeRows, NanIsPassedOverWhereTheRangeIsSoughtAndGetsCodeZero) {
  std::array<float, 32> row{};
  row[0] = -8;
  row[1] = 7;
  row[2] = std::nanf("");
  EXPECT_EQ(quantized(row, Rounding::cpu).words[0], 0x888880F0);
  EXPECT_EQ(quantized(row, Rounding::cpu).scale, 1.0f);
  EXPECT_EQ(quantized(row, Rounding::metal).words[0], 0x888880F0);
}

TEST(QuantizeRows, InfinityTakesItsGroupAlong) {
  std::array<float, 32> row;
  row.fill(0.5f);
  row[9] = infinity;
  EXPECT_TRUE(std::isnan(quantized(row, Rounding::cpu).scale));
  EXPECT_EQ(quantized(row, Rounding::cpu).bias, infinity);
}

TEST(QuantizeRows, Mxfp4) {
  std::array<float, 32> row{0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
  for (float& value : row) value *= 4;
  const QuantFormat format{QuantMode::mxfp4, 4, 32};
  std::array<uint32_t, 4> words{};
  uint8_t scale = 0;
  quantize_rows(format, Rounding::metal, DType::F32, row.data(), 1, 32, words.data(), &scale, nullptr);
  EXPECT_EQ(scale, 127 + 2);
  EXPECT_THAT(words, ElementsAre(0x76543210, 0xFEDCBA98, 0, 0));
  std::array<float, 32> back;
  dequantize_rows(format, DType::U8, words.data(), &scale, nullptr, 1, 32, back.data(), DType::F32);
  EXPECT_EQ(back, row);
}

// The CPU looks for the nearest of E2M1's values by distances; nvfp4's are floats also where the values are BF16.
TEST(QuantizeRows, Nvfp4BeyondItsRangeHasTheLargestCode) {
  const std::array<uint16_t, 16> row{0x4980, 0xC980};  // 2^20, -2^20
  std::array<uint32_t, 2> words{};
  uint8_t scale = 0;
  quantize_rows({QuantMode::nvfp4, 4, 16}, Rounding::cpu, DType::BF16, row.data(), 1, 16, words.data(), &scale,
                nullptr);
  EXPECT_EQ(scale, 0x7E);
  EXPECT_THAT(words, ElementsAre(0x000000F7, 0));
}

TEST(DequantizeRows, F16RoundsTheProductBeforeItAddsTheBias) {
  const std::array<uint32_t, 4> words{0xF, 0, 0, 0};
  const uint16_t scale = 0x3C01;  // 1.0009765625; times 15 is 15.0146, which F16 rounds to 15.015625
  const uint16_t bias = 0xCB80;   // -15
  std::array<uint16_t, 32> out{};
  dequantize_rows({QuantMode::affine, 4, 32}, DType::F16, words.data(), &scale, &bias, 1, 32, out.data(), DType::F16);
  EXPECT_EQ(out[0], 0x2400);  // 0.015625
  EXPECT_EQ(out[1], 0xCB80);
}
