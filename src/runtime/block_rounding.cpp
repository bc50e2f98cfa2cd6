#include "runtime/block_rounding.h"

#include <cmath>
#include <utility>

#include <mlx/ops.h>

namespace pippin {
namespace {

namespace mx = mlx::core;

mx::array through_fp8(const mx::array& x) {
  return mx::from_fp8(mx::to_fp8(x), mx::float32);
}

// The nearest of 0, 0.5, 1, 1.5, 2, 3, 4, 6: each step counts once |x| is beyond the middle, or at it where the number
// above has the even code.
mx::array through_fp4(const mx::array& x) {
  constexpr std::pair<float, float> beyond[] = {{0.25F, 0.5F}, {1.25F, 0.5F}, {2.5F, 1}, {5, 2}};
  constexpr std::pair<float, float> from[] = {{0.75F, 0.5F}, {1.75F, 0.5F}, {3.5F, 1}};
  const mx::array size = mx::abs(x);
  mx::array sum = mx::zeros_like(size);
  const auto count = [&sum](const mx::array& reached, float step) {
    sum = mx::add(sum, mx::multiply(mx::astype(reached, mx::float32), mx::array(step)));
  };
  for (const auto& [middle, step] : beyond) count(mx::greater(size, mx::array(middle)), step);
  for (const auto& [middle, step] : from) count(mx::greater_equal(size, mx::array(middle)), step);
  return mx::multiply(mx::sign(x), sum);
}

}  // namespace

mx::array block_rounded(const mx::array& x, const BlockRounding& rounding) {
  if (x.shape(-1) % rounding.size != 0) return x;
  const bool is_fp8 = rounding.format == SmallFloat::fp8;
  const bool powers = rounding.scale == BlockScale::power_of_two;
  const float largest = is_fp8 ? 448 : 6;
  const float smallest = is_fp8 ? 1e-4F : std::ldexp(6.0F, powers ? -126 : -9);
  const mx::array blocks = mx::unflatten(mx::astype(x, mx::float32), -1, {-1, rounding.size});
  const mx::array extent = mx::maximum(mx::max(mx::abs(blocks), -1, true), mx::array(smallest));
  const mx::array wanted = mx::divide(extent, mx::array(largest));
  const mx::array scale = powers ? mx::power(mx::array(2.0F), mx::ceil(mx::log2(wanted))) : through_fp8(wanted);
  const mx::array inside = mx::minimum(mx::maximum(mx::divide(blocks, scale), mx::array(-largest)), mx::array(largest));
  const mx::array rounded = is_fp8 ? through_fp8(inside) : through_fp4(inside);
  return mx::astype(mx::flatten(mx::multiply(rounded, scale), -2, -1), x.dtype());
}

}  // namespace pippin
