// The tensors on their way from published names to MLX names.
#pragma once

#include <map>
#include <string>

#include "recipe/recipe.h"

namespace pippin {

using TensorMap = std::map<std::string, RecipePtr, std::less<>>;

}  // namespace pippin
