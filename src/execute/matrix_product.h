// Products of two blocks of matrices.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pippin/dtype.h"

namespace pippin {

// One row of x times a panel of y: out[j] = sum over k of x[k] * y[k * columns + j], added one by one in the order of
// k, each product rounded to float32 before it is added.
void multiply_row(const float* x, int64_t inner, const float* y, int64_t columns, float* out);

}  // namespace pippin
