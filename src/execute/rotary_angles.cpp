#include "execute/rotary_angles.h"

#include <cmath>

namespace pippin {
namespace {

// The octant reduction of mlx/backend/cpu/simd/math.h (which has it from Cephes), with fused steps.
struct Reduced {
  uint32_t octant;  // even
  float sine, cosine;
};

Reduced reduce(float angle) {
  constexpr float four_over_pi = 1.27323954473516F;
  const uint32_t octant = (static_cast<uint32_t>(angle * four_over_pi) + 1) & ~1U;
  const auto turns = static_cast<float>(octant);
  float x = std::fma(turns, -0.78515625F, angle);
  x = std::fma(turns, -2.4187564849853515625e-4F, x);
  x = std::fma(turns, -3.77489497744594108e-8F, x);
  const float z = x * x;
  float cosine = std::fma(z, 2.443315711809948e-5F, -1.388731625493765e-3F);
  cosine = std::fma(cosine, z, 4.166664568298827e-2F) * z * z;
  cosine = std::fma(z, -0.5F, cosine) + 1.0F;
  float sine = std::fma(z, -1.9515295891e-4F, 8.3321608736e-3F);
  sine = std::fma(sine, z, -1.6666654611e-1F) * z;
  sine = std::fma(x, sine, x);
  return {octant, sine, cosine};
}

// Beyond this the reduction is not exact, and MLX asks the C library.
constexpr float largest = 8388608.0F;

}  // namespace

std::vector<float> rotary_frequencies(double base, int64_t dims) {
  std::vector<float> frequencies;
  const auto factor = static_cast<double>(static_cast<float>(base));
  for (int64_t k = 0; k < dims / 2; k++) {
    const float exponent = static_cast<float>(2 * k) / static_cast<float>(dims);
    // In float64 and rounded: what a float32 power gives too, without depending on a platform's own.
    frequencies.push_back(1.0F / static_cast<float>(std::pow(factor, static_cast<double>(exponent))));
  }
  return frequencies;
}

float mlx_cosine(float angle) {
  if (angle > largest) return static_cast<float>(std::cos(static_cast<double>(angle)));
  const Reduced reduced = reduce(angle);
  const float value = (reduced.octant & 2U) != 0 ? reduced.sine : reduced.cosine;
  return ((reduced.octant - 2) & 4U) != 0 ? value : -value;
}

float mlx_sine(float angle) {
  if (angle > largest) return static_cast<float>(std::sin(static_cast<double>(angle)));
  const Reduced reduced = reduce(angle);
  const float value = (reduced.octant & 2U) != 0 ? reduced.cosine : reduced.sine;
  return (reduced.octant & 4U) != 0 ? -value : value;
}

}  // namespace pippin
