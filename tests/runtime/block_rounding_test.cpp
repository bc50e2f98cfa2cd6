#include "runtime/block_rounding.h"

#include <vector>

#include <gtest/gtest.h>
#include <mlx/device.h>
#include <mlx/ops.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

std::vector<float> rounded(const std::vector<float>& values, const BlockRounding& rounding) {
  mx::set_default_device(mx::Device::cpu);
  const mx::array x(values.begin(), {1, static_cast<int>(values.size())}, mx::float32);
  mx::array y = mx::contiguous(block_rounded(x, rounding));
  y.eval();
  return {y.data<float>(), y.data<float>() + y.size()};
}

TEST(BlockRounding, gives_halves_to_the_even_code_of_four_bits) {
  const BlockRounding rounding{SmallFloat::fp4, BlockScale::power_of_two, 8};
  EXPECT_EQ(rounded({0.25F, 0.75F, -1.25F, 1.75F, 2.5F, -3.5F, 5, 6}, rounding),
            (std::vector<float>{0, 1, -1, 2, 2, -4, 4, 6}));
}

TEST(BlockRounding, rounds_a_blocks_scale_up_to_a_power_of_two) {
  const BlockRounding rounding{SmallFloat::fp4, BlockScale::power_of_two, 4};
  EXPECT_EQ(rounded({7, 5.1F, 1, 0.4F, 0, 0, 0, 0}, rounding), (std::vector<float>{8, 6, 1, 0, 0, 0, 0, 0}));
}

TEST(BlockRounding, clips_beyond_a_scale_that_e4m3_rounds_down) {
  const BlockRounding rounding{SmallFloat::fp4, BlockScale::e4m3, 2};
  EXPECT_EQ(rounded({7, -3}, rounding), (std::vector<float>{6.75F, -3.375F}));
}

TEST(BlockRounding, keeps_three_bits_behind_the_point_in_eight) {
  const BlockRounding rounding{SmallFloat::fp8, BlockScale::power_of_two, 2};
  EXPECT_EQ(rounded({448, 17.5F, 1000, 33, 1e-10F, 0}, rounding), (std::vector<float>{448, 18, 1024, 32, 0, 0}));
}

TEST(BlockRounding, leaves_what_does_not_divide_into_blocks) {
  const BlockRounding rounding{SmallFloat::fp8, BlockScale::power_of_two, 32};
  EXPECT_EQ(rounded({1.01F, 2.02F}, rounding), (std::vector<float>{1.01F, 2.02F}));
}

}  // namespace
}  // namespace pippin
