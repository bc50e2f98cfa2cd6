#include "execute/functions.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace pippin {
namespace {

// e^x for x >= 0 as MLX's CPU backend has it (mlx/backend/cpu/simd/math.h): 2^(x log2 e) as 2^whole times a polynomial
// of the rest, by Horner's rule with fused steps.
float exponential(float x) {
  constexpr float largest = 88.0F;
  constexpr float log2_e = 1.442695F;
  constexpr std::array<float, 7> factors{1.535336188319500e-4F,
                                         1.339887440266574e-3F,
                                         9.618437357674640e-3F,
                                         5.550332471162809e-2F,
                                         2.402264791363012e-1F,
                                         6.931472028550421e-1F,
                                         1.0F};
  if (!(x <= largest)) return std::isnan(x) ? x : std::numeric_limits<float>::infinity();
  const float power = x * log2_e;
  const float whole = std::floor(power + 0.5F);
  const float rest = power - whole;
  float value = factors[0];
  for (size_t k = 1; k < factors.size(); ++k) value = std::fma(value, rest, factors[k]);
  return std::bit_cast<float>((static_cast<int32_t>(whole) + 127) << 23) * value;
}

float sigmoid(float x) {
  const float tail = 1.0F / (1.0F + exponential(std::abs(x)));
  return x < 0 ? tail : 1.0F - tail;
}

}  // namespace

void apply_function(Function::Kind kind, float* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    values[i] = kind == Function::Kind::sigmoid ? sigmoid(values[i]) : std::sqrt(values[i]);
}

}  // namespace pippin
