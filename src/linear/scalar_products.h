// The readable definition of the inner loops: one value after the other, sums in double.
#pragma once

#include "linear/product_kernels.h"

namespace pippin {

ColumnOrder scalar_order(const WeightView& weight);
void scalar_prepare(const ColumnOrder& order, const float* natural, float* out);
void scalar_few(const FewRows& job);
void scalar_decode(const WeightRows& rows, float* out, int64_t stride);
void scalar_many(const ManyRows& job);

}  // namespace pippin
