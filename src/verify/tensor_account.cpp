#include "verify/tensor_account.h"

#include <unordered_set>

namespace pippin {

std::vector<std::string> left_out_tensors(const Checkpoint& checkpoint, const LoadedModel& model) {
  std::vector<bool> used(checkpoint.tensors().size());
  std::unordered_set<const Recipe*> seen;
  std::vector<const Recipe*> open;
  for (const auto& [name, recipe] : model.tensors) open.push_back(recipe.get());
  while (!open.empty()) {
    const Recipe* recipe = open.back();
    open.pop_back();
    if (!seen.insert(recipe).second) continue;
    if (const auto* source = std::get_if<FromSource>(&recipe->op)) used[source->tensor] = true;
    for (const auto& input : recipe->inputs) open.push_back(input.get());
  }
  std::vector<std::string> left_out;
  for (size_t k = 0; k < used.size(); ++k) {
    if (!used[k]) left_out.push_back(checkpoint.tensors()[k].name);
  }
  return left_out;
}

}  // namespace pippin
