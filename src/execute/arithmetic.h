// Elementwise operations of two dense blocks.
#pragma once

#include <cstddef>

#include "execute/box.h"
#include "recipe/recipe.h"

namespace pippin {

// x = x op y. x is a dense copy of x_box; y one of y_box, whose axes belong to the last ones of x_box and have its
// extents or an extent of 1. F16 and BF16 are computed in float32 and rounded once; F32 and F64 in their own type.
void apply_arithmetic(Arithmetic::Op op, DType dtype, const Box& x_box, std::byte* x, const Box& y_box,
                      const std::byte* y);

}  // namespace pippin
