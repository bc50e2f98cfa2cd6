// The readable definition of the loops over floats.
#pragma once

#include "linear/float_kernels.h"

namespace pippin {

float scalar_sum(const float* x, int64_t count);
float scalar_sum_of_squares(const float* x, float center, int64_t count);
float scalar_exponentials(float* x, float most, int64_t count);
void scalar_soft_cap(float* x, float cap, int64_t count);
void scalar_activate(Activation activation, float* x, int64_t count);
void scalar_clamped_silu(float* gate, float alpha, float limit, int64_t count);
void scalar_add_weighted(const WeightedSum& job);

}  // namespace pippin
