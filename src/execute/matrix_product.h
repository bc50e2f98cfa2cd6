// Products of blocks of matrices.
#pragma once

#include <cstdint>

namespace pippin {

inline constexpr int64_t product_columns = 32;  // at most, of y in one call: as many sums as stay in registers

// One row of x times some columns of y: out[j] = sum over k < inner of x[k] * y[k * columns + j], added one by one in
// the order of k, each product rounded to float32 before it is added. 1 <= columns <= product_columns.
void multiply_row(const float* x, int64_t inner, const float* y, int64_t columns, float* out);

}  // namespace pippin
