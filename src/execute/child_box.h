// Which part of an operation's input is needed for a part of its result.
#pragma once

#include <algorithm>

#include "execute/box.h"
#include "recipe/recipe.h"

namespace pippin {

// The smallest box of recipe.inputs[input] that holds all that `box` of the recipe needs. Not for a Concat,
// whose inputs have parts of their own. Packed inputs are taken by whole groups.
Box child_box(const Recipe& recipe, size_t input, const Box& box);

// Calls visit(input, begin of the input along the axis, box of the input) for every input of a Concat that has a part
// in the box, in their order; stops at the first error.
template <typename Visit>
Status for_each_concat_part(const Recipe& recipe, const Box& box, Visit visit) {
  const int axis = std::get<Concat>(recipe.op).axis;
  int64_t begin = 0;
  for (size_t i = 0; i < recipe.inputs.size() && begin < box.hi[axis]; i++) {
    const int64_t end = begin + recipe.inputs[i]->shape[static_cast<size_t>(axis)];
    if (end > box.lo[axis] && end > begin) {
      Box part = box;
      part.lo[axis] = std::max(box.lo[axis], begin) - begin;
      part.hi[axis] = std::min(box.hi[axis], end) - begin;
      PIPPIN_CHECK(visit(i, begin, part));
    }
    begin = end;
  }
  return {};
}

}  // namespace pippin
