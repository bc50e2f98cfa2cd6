#include "pippin/dtype.h"

#include <gtest/gtest.h>

using namespace pippin;

TEST(DType, NamesAreThoseOfSafetensors) {
  EXPECT_EQ(dtype_of("BF16"), DType::BF16);
  EXPECT_EQ(dtype_of("F8_E4M3"), DType::F8_E4M3);
  EXPECT_EQ(dtype_of("bfloat16"), std::nullopt);
  for (int i = 0; i <= static_cast<int>(DType::F64); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_of(name_of(dtype)), dtype);
  }
}

TEST(DType, SizesAndKinds) {
  EXPECT_EQ(size_of(DType::BOOL), 1u);
  EXPECT_EQ(size_of(DType::BF16), 2u);
  EXPECT_EQ(size_of(DType::F64), 8u);
  EXPECT_TRUE(is_floating(DType::F16));
  EXPECT_FALSE(is_floating(DType::F8_E4M3));
  EXPECT_FALSE(is_floating(DType::I32));
}
