// Which source bytes a part of a recipe needs.
#pragma once

#include <functional>

#include "execute/box.h"
#include "recipe/recipe.h"

namespace pippin {

// Calls visit(tensor, box of it) for every use of a source tensor under the recipe. The boxes hold all that `box` of
// the recipe needs, and where a step or a reshape leaves gaps, more.
void for_each_leaf(const Recipe& recipe, const Box& box, const std::function<void(uint32_t tensor, const Box&)>& visit);

// The same for the whole recipe, without boxes.
void for_each_tensor(const Recipe& recipe, const std::function<void(const Recipe& leaf, uint32_t tensor)>& visit);

}  // namespace pippin
