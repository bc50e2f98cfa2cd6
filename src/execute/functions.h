// Functions of single elements.
#pragma once

#include <cstdint>

#include "recipe/recipe.h"

namespace pippin {

// values[i] = f(values[i]).
void apply_function(Function::Kind kind, float* values, int64_t count);

}  // namespace pippin
