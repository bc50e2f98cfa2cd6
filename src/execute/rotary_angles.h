// Tables of rotary position embeddings, as MLX computes them.
#pragma once

#include <cstdint>
#include <vector>

#include "recipe/recipe.h"

namespace pippin {

// 1 / base^(2 k / dims) for k < dims / 2, in float32.
std::vector<float> rotary_frequencies(double base, int64_t dims);

// Cosine and sine of an angle >= 0 as MLX's CPU backend has them: polynomials, some last bits off the exact value.
float mlx_cosine(float angle);
float mlx_sine(float angle);

}  // namespace pippin
