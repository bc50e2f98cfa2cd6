// Recipes computed the plain way: whole tensors, one element after the other, straight from recipe.h's words.
#pragma once

#include <vector>

#include "execute/box.h"
#include "recipe/recipe.h"
#include "tiny_checkpoint.h"

namespace pippin {

// All bytes of the recipe's value. tensors: in the checkpoint's order.
Bytes naive_value(const Recipe& recipe, const std::vector<TinyTensor>& tensors, Rounding rounding = Rounding::metal);

// The box's bytes out of a whole tensor's.
Bytes naive_box(const Bytes& whole, const Shape& shape, size_t element, const Box& box);

}  // namespace pippin
