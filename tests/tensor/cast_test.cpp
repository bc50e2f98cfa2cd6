#include "tensor/cast.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "tensor/cast_kernels.h"

using namespace pippin;
using testing::ElementsAre;

namespace {

template <typename To, typename From>
std::vector<To> casted(DType from, std::vector<From> in, DType to) {
  std::vector<To> out(in.size());
  cast(from, in.data(), to, out.data(), static_cast<int64_t>(in.size()));
  return out;
}

const float infinity = std::numeric_limits<float>::infinity();
const float not_a_number = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST(Cast, BetweenFloats) {
  EXPECT_THAT((casted<uint16_t, float>(DType::F32, {1, -2, 1e5f, 0.1f}, DType::F16)),
              ElementsAre(0x3C00, 0xC000, 0x7C00, 0x2E66));
  EXPECT_THAT((casted<uint16_t, float>(DType::F32, {1, -2, 1e5f, 0.1f}, DType::BF16)),
              ElementsAre(0x3F80, 0xC000, 0x47C3, 0x3DCD));
  EXPECT_THAT((casted<uint16_t, uint16_t>(DType::BF16, {0x3F80, 0x47C3}, DType::F16)), ElementsAre(0x3C00, 0x7C00));
  EXPECT_THAT((casted<float, uint16_t>(DType::F16, {0x3C00, 0x0001}, DType::F32)), ElementsAre(1, 0x1p-24f));
  EXPECT_THAT((casted<float, double>(DType::F64, {0.1, 1e300}, DType::F32)), ElementsAre(0.1f, infinity));
  EXPECT_THAT((casted<double, float>(DType::F32, {0.1f}, DType::F64)), ElementsAre(0.1f));
}

TEST(Cast, EightBitFloatsDecode) {
  EXPECT_THAT((casted<float, uint8_t>(DType::F8_E4M3, {0x38, 0xFE, 0x01}, DType::F32)), ElementsAre(1, -448, 0x1p-9f));
  EXPECT_THAT((casted<uint16_t, uint8_t>(DType::F8_E4M3, {0x38, 0xFE, 0x7F}, DType::BF16)),
              ElementsAre(0x3F80, 0xC3E0, 0x7FC0));
  EXPECT_THAT((casted<float, uint8_t>(DType::F8_E5M2, {0x3C, 0x01}, DType::F32)), ElementsAre(1, 0x1p-16f));
  EXPECT_THAT((casted<float, uint8_t>(DType::F8_E8M0, {127, 130}, DType::F32)), ElementsAre(1, 8));
  EXPECT_THAT((casted<uint8_t, float>(DType::F32, {1, -1000}, DType::F8_E4M3)), ElementsAre(0x38, 0xFE));
}

TEST(Cast, Integers) {
  EXPECT_THAT((casted<float, int64_t>(DType::I64, {-3, 16777217}, DType::F32)), ElementsAre(-3, 16777216));
  EXPECT_THAT((casted<int32_t, int64_t>(DType::I64, {-1, 1LL << 32}, DType::I32)), ElementsAre(-1, 0));
  EXPECT_THAT((casted<uint16_t, uint8_t>(DType::U8, {255}, DType::BF16)), ElementsAre(0x437F));
  EXPECT_THAT((casted<int32_t, float>(DType::F32, {2.9f, -2.9f}, DType::I32)), ElementsAre(2, -2));
  EXPECT_THAT((casted<uint64_t, float>(DType::F32, {0x1.8p63f}, DType::U64)), ElementsAre(3ULL << 62));
  EXPECT_THAT((casted<uint8_t, float>(DType::F32, {0.0f, 0.5f, not_a_number}, DType::BOOL)), ElementsAre(0, 1, 1));
  EXPECT_THAT((casted<float, uint8_t>(DType::BOOL, {0, 1, 7}, DType::F32)), ElementsAre(0, 1, 1));
}

TEST(Cast, WhatFitsNoIntegerHasADefinedResult) {
  const int64_t least = std::numeric_limits<int64_t>::min();
  EXPECT_THAT((casted<int64_t, float>(DType::F32, {not_a_number, infinity, -1e30f}, DType::I64)),
              ElementsAre(least, least, least));
  EXPECT_THAT((casted<uint8_t, float>(DType::F32, {not_a_number, 257.0f}, DType::U8)), ElementsAre(0, 1));
}

TEST(Cast, TheSameDtypeIsACopyBitByBit) {
  EXPECT_THAT((casted<uint16_t, uint16_t>(DType::BF16, {0x7F81, 0xFFFF}, DType::BF16)), ElementsAre(0x7F81, 0xFFFF));
  EXPECT_THAT((casted<uint8_t, uint8_t>(DType::F8_E8M0, {0, 255}, DType::F8_E8M0)), ElementsAre(0, 255));
}

TEST(CountNonfinite, CountsNanAndInfinity) {
  std::vector<float> values(1000, 1.0f);
  EXPECT_EQ(count_nonfinite(DType::F32, values.data(), 1000), 0);
  values[3] = infinity;
  EXPECT_EQ(count_nonfinite(DType::F32, values.data(), 1000), 1);
  values[3] = not_a_number;
  values[998] = -infinity;
  EXPECT_EQ(count_nonfinite(DType::F32, values.data(), 1000), 2);
  EXPECT_EQ(count_nonfinite(DType::F32, values.data(), 998), 1);
  const std::vector<double> doubles{1e300, std::numeric_limits<double>::infinity()};
  EXPECT_EQ(count_nonfinite(DType::F64, doubles.data(), 2), 1);
  const std::vector<uint8_t> bytes(64, 0xFF);
  EXPECT_EQ(count_nonfinite(DType::F8_E4M3, bytes.data(), 64), 0);
}

// Every pattern of 16 bits, and for F32 each with several lower halves, from an address that is not aligned.
TEST(CastKernels, EveryInstructionSetGivesTheReferencesBits) {
  std::mt19937 random(1);
  const DType dtypes[] = {DType::F32, DType::F16, DType::BF16, DType::F8_E4M3};
  for (const DType from : dtypes) {
    std::vector<char> in(1);
    for (uint32_t i = 0; i < 0x10000; ++i) {
      for (const uint32_t low :
           {0x0000u, 0x1000u, 0x3000u, 0x8000u, 0x7FFFu, 0x8001u, static_cast<uint32_t>(random() & 0xFFFF)}) {
        const uint32_t bits = from == DType::F32 ? i << 16 | low : i;
        in.insert(in.end(), reinterpret_cast<const char*>(&bits), reinterpret_cast<const char*>(&bits) + size_of(from));
      }
    }
    const auto count = static_cast<int64_t>((in.size() - 1) / size_of(from)) - 3;
    for (const DType to : dtypes) {
      std::vector<char> expected(static_cast<size_t>(count) * size_of(to));
      cast_kernels().back().cast(from, in.data() + 1, to, expected.data(), count);
      for (const CastKernels& kernels : cast_kernels()) {
        std::vector<char> got(expected.size() + 1, 'x');
        kernels.cast(from, in.data() + 1, to, got.data(), count);
        EXPECT_EQ(got.back(), 'x');
        got.pop_back();
        EXPECT_TRUE(got == expected) << fmt::format("{} to {}, {}", name_of(from), name_of(to), kernels.isa);
      }
    }
  }
}

TEST(CastKernels, EveryInstructionSetCountsAlike) {
  for (const DType dtype : {DType::F16, DType::BF16, DType::F32}) {
    std::mt19937 random(2);
    std::vector<char> values(300'000 * size_of(dtype));
    for (char& byte : values) byte = static_cast<char>(random());
    for (const int64_t count : {0, 1, 31, 63, 64, 127, 4096, 299'999}) {
      const int64_t expected = cast_kernels().back().count_nonfinite(dtype, values.data(), count);
      for (const CastKernels& kernels : cast_kernels()) {
        EXPECT_EQ(kernels.count_nonfinite(dtype, values.data(), count), expected) << kernels.isa << " " << count;
      }
    }
  }
}

TEST(CastKernels, TheReferenceIsLast) {
  EXPECT_STREQ(cast_kernels().back().isa, "SCALAR");
}
