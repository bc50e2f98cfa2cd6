#include "execute/recipe_leaves.h"

#include "execute/child_box.h"

namespace pippin {

void for_each_leaf(const Recipe& recipe, const Box& box, const std::function<void(uint32_t, const Box&)>& visit) {
  if (const auto* source = std::get_if<FromSource>(&recipe.op)) return visit(source->tensor, box);
  if (std::holds_alternative<Concat>(recipe.op)) {
    static_cast<void>(for_each_concat_part(recipe, box, [&](size_t input, int64_t, const Box& part) -> Status {
      for_each_leaf(*recipe.inputs[input], part, visit);
      return {};
    }));
    return;
  }
  for (size_t i = 0; i < recipe.inputs.size(); i++) for_each_leaf(*recipe.inputs[i], child_box(recipe, i, box), visit);
}

void for_each_tensor(const Recipe& recipe, const std::function<void(const Recipe&, uint32_t)>& visit) {
  if (const auto* source = std::get_if<FromSource>(&recipe.op)) return visit(recipe, source->tensor);
  for (const auto& input : recipe.inputs) for_each_tensor(*input, visit);
}

}  // namespace pippin
