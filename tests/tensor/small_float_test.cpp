#include "tensor/small_float.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace pippin;

namespace {
const float infinity = std::numeric_limits<float>::infinity();
const float not_a_number = std::numeric_limits<float>::quiet_NaN();
uint32_t bits_of(float value) {
  return std::bit_cast<uint32_t>(value);
}
}  // namespace

TEST(SmallFloat, Bf16RoundsToEvenAndOverflows) {
  EXPECT_EQ(float_to_bf16(1.0f), 0x3F80);
  EXPECT_EQ(float_to_bf16(0x1.01p0f), 0x3F80);      // half a unit above 1
  EXPECT_EQ(float_to_bf16(0x1.010002p0f), 0x3F81);  // a bit more
  EXPECT_EQ(float_to_bf16(0x1.03p0f), 0x3F82);      // half a unit above an odd one
  EXPECT_EQ(float_to_bf16(3.4e38f), 0x7F80);
  EXPECT_EQ(float_to_bf16(-0.0f), 0x8000);
  EXPECT_EQ(float_to_bf16(not_a_number), 0x7FC0);
  EXPECT_EQ(float_to_bf16(-not_a_number), 0x7FC0);
}

TEST(SmallFloat, F16RoundsToEvenAndOverflows) {
  EXPECT_EQ(float_to_f16(1.0f), 0x3C00);
  EXPECT_EQ(float_to_f16(0x1.002p0f), 0x3C00);  // half a unit above 1
  EXPECT_EQ(float_to_f16(0x1.006p0f), 0x3C02);  // half a unit above an odd one
  EXPECT_EQ(float_to_f16(65504.0f), 0x7BFF);
  EXPECT_EQ(float_to_f16(65519.996f), 0x7BFF);
  EXPECT_EQ(float_to_f16(65520.0f), 0x7C00);
  EXPECT_EQ(float_to_f16(-infinity), 0xFC00);
  EXPECT_EQ(float_to_f16(0x1p-24f), 0x0001);
  EXPECT_EQ(float_to_f16(0x1p-25f), 0x0000);  // half the least number: to even
  EXPECT_EQ(float_to_f16(0x1.8p-24f), 0x0002);
  EXPECT_EQ(float_to_f16(0x1.ff8p-15f), 0x03FF);
  EXPECT_EQ(float_to_f16(0x1.ffcp-15f), 0x0400);  // from the subnormal numbers up to the normal ones
  EXPECT_EQ(float_to_f16(not_a_number), 0x7D00);
  EXPECT_EQ(float_to_f16(-not_a_number), 0xFD00);
}

TEST(SmallFloat, E4m3SaturatesAndKeepsTheSign) {
  EXPECT_EQ(float_to_e4m3(1.0f), 0x38);
  EXPECT_EQ(float_to_e4m3(447.0f), 0x7E);
  EXPECT_EQ(float_to_e4m3(1e9f), 0x7E);
  EXPECT_EQ(float_to_e4m3(-infinity), 0xFE);
  EXPECT_EQ(float_to_e4m3(not_a_number), 0x7E);
  EXPECT_EQ(float_to_e4m3(-0.0f), 0x80);
  EXPECT_EQ(float_to_e4m3(0x1p-9f), 0x01);
  EXPECT_EQ(float_to_e4m3(0x1p-10f), 0x00);
  EXPECT_EQ(float_to_e4m3(0x1.8p-9f), 0x02);
  EXPECT_EQ(float_to_e4m3(1.0625f), 0x38);  // half a unit above 1
  EXPECT_EQ(float_to_e4m3(1.1875f), 0x3A);
}

TEST(SmallFloat, EightBitValues) {
  EXPECT_EQ(e4m3_to_float(0x7E), 448.0f);
  EXPECT_EQ(e4m3_to_float(0x81), -0x1p-9f);
  EXPECT_EQ(bits_of(e4m3_to_float(0xFF)), 0xFFF00000);
  EXPECT_EQ(e5m2_to_float(0x7B), 57344.0f);
  EXPECT_EQ(e5m2_to_float(0xFC), -infinity);
  EXPECT_TRUE(std::isnan(e5m2_to_float(0x7F)));
  EXPECT_EQ(e8m0_to_float(127), 1.0f);
  EXPECT_EQ(e8m0_to_float(0), 0x1p-127f);
  EXPECT_EQ(e8m0_to_float(254), 0x1p127f);
  EXPECT_TRUE(std::isnan(e8m0_to_float(255)));
}

TEST(SmallFloat, EveryValueSurvivesTheWayToFloatAndBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if (!std::isnan(bf16_to_float(half))) {
      EXPECT_EQ(float_to_bf16(bf16_to_float(half)), half);
    }
    if (!std::isnan(f16_to_float(half))) {
      EXPECT_EQ(float_to_f16(f16_to_float(half)), half);
    }
    const auto byte = static_cast<uint8_t>(bits);
    if (!std::isnan(e4m3_to_float(byte))) {
      EXPECT_EQ(float_to_e4m3(e4m3_to_float(byte)), byte);
    }
  }
}

TEST(SmallFloat, ASignallingF16NanBecomesQuiet) {
  EXPECT_EQ(bits_of(f16_to_float(0x7C01)), 0x7FC02000);
  EXPECT_EQ(bits_of(f16_to_float(0xFE00)), 0xFFC00000);
}
