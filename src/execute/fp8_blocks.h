// Dequantizes fp8 weights with one scale a block.
#pragma once

#include <cstddef>

#include "execute/box.h"
#include "recipe/recipe.h"

namespace pippin {

// Writes `box` of recipe (a DequantizeBlocks) to out. weight: a dense copy of the box; scale: one of
// child_box(recipe, 1, box). Per element: e4m3 to BF16, times the scale in the promoted type of BF16 and the scale's
// dtype, cast to the recipe's dtype.
void dequantize_fp8_blocks(const Recipe& recipe, const Box& box, const std::byte* weight, const std::byte* scale,
                           std::byte* out);

}  // namespace pippin
