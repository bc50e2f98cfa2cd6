#include "tensor/shape.h"

#include <gtest/gtest.h>

using namespace pippin;

TEST(Shape, CountsElements) {
  EXPECT_EQ(checked_element_count({}), 1);
  EXPECT_EQ(checked_element_count({3, 4}), 12);
  EXPECT_EQ(element_count({3, 4}), 12);
}

TEST(Shape, RefusesWhatInt64CannotCount) {
  EXPECT_EQ(checked_element_count({2, -1}), std::nullopt);
  EXPECT_EQ(checked_element_count({int64_t{1} << 32, int64_t{1} << 31}), std::nullopt);
}

TEST(Shape, AZeroDimensionHoldsNothing) {
  EXPECT_EQ(checked_element_count({5, 0}), 0);
  // Refused too: the product of the others must fit, so that strides can be computed.
  EXPECT_EQ(checked_element_count({0, int64_t{1} << 62, 4}), std::nullopt);
}

TEST(Shape, AsText) {
  EXPECT_EQ(to_string(Shape{128, 64}), "[128, 64]");
  EXPECT_EQ(to_string(Shape{}), "[]");
}
