#include "runtime/ternary_weight.h"

#include <vector>

#include <gtest/gtest.h>
#include <mlx/ops.h>

#include "runtime/fault.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

// One row of bytes holds four rows of the layer; 0b00'01'10'10: 2, 2, 1, 0 from the lowest bits on.
mx::array bytes(int columns) {
  return mx::full({1, columns}, mx::array(0b00011010, mx::uint8), mx::uint8);
}

std::vector<float> row_sums(const ModuleWeight& weight, int columns) {
  mx::array y = mx::contiguous(weight.product(mx::ones({1, columns}, mx::float32)));
  y.eval();
  return {y.data<float>(), y.data<float>() + y.size()};
}

TEST(TernaryWeight, becomes_two_bits_times_the_scale) {
  const ModuleWeight weight = unpack_ternary(bytes(32), mx::array({0.5F}), false, "m");
  EXPECT_EQ(weight.packing, (QuantFormat{QuantMode::affine, 2, 32}));
  EXPECT_EQ(weight.weight.shape(), (mx::Shape{4, 2}));
  EXPECT_EQ(row_sums(weight, 32), (std::vector<float>{16, 16, 0, -16}));
}

TEST(TernaryWeight, divides_by_the_scale_where_it_shall) {
  EXPECT_EQ(row_sums(unpack_ternary(bytes(64), mx::array({0.5F}), true, "m"), 64),
            (std::vector<float>{128, 128, 0, -128}));
}

TEST(TernaryWeight, is_dense_where_rows_have_no_groups) {
  const ModuleWeight weight = unpack_ternary(bytes(6), mx::array({2.0F}), false, "m");
  EXPECT_FALSE(weight.scales);
  EXPECT_EQ(row_sums(weight, 6), (std::vector<float>{12, 12, 0, -12}));
}

TEST(TernaryWeight, refuses_another_shape) {
  EXPECT_THROW(unpack_ternary(bytes(32), mx::array({1.0F, 2.0F}), false, "m"), Fault);
  EXPECT_THROW(unpack_ternary(mx::zeros({1, 32}, mx::uint32), mx::array({1.0F}), false, "m"), Fault);
}

}  // namespace
}  // namespace pippin
