#include "plan/strict_check.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include <fmt/format.h>

#include "plan/packed_layers.h"

namespace pippin {
namespace {

constexpr size_t most_listed = 200;

// What an unexpected name may mean; empty where there is nothing to say.
std::string hint_for(const std::string& name) {
  if (name.find("scale") != std::string::npos || name.ends_with(".biases") || name.ends_with(".g_idx") ||
      name.ends_with(".qweight") || name.ends_with(".qzeros") || name.find("absmax") != std::string::npos) {
    return " (a quantization scale without a quantization that pippin knows)";
  }
  if (name == "lm_head.weight" || name.ends_with(".lm_head.weight"))
    return " (a head, but config.json says it is tied)";
  return "";
}

void add_capped(std::vector<std::string>& details, const std::vector<std::string>& lines) {
  for (size_t i = 0; i < lines.size() && i < most_listed; ++i) details.push_back(lines[i]);
  if (lines.size() > most_listed)
    details.push_back(fmt::format("... and {} more like these", lines.size() - most_listed));
}

}  // namespace

std::vector<StoredParameter> stored_parameters(const MlxModule& module, size_t parameter,
                                               const std::optional<QuantFormat>& packed) {
  const MlxParameter& one = module.parameters[parameter];
  if (!packed || one.name != "weight") return {{module.name_of(one.name), one.shape}};
  const PackedShapes shapes = packed_shapes(one.shape, *packed);
  std::vector<StoredParameter> stored{{module.name_of("weight"), shapes.weight},
                                      {module.name_of("scales"), shapes.scales}};
  if (row_of(packed->mode).has_biases) stored.push_back({module.name_of("biases"), shapes.scales});
  return stored;
}

Status check_strictly(const ModuleTree& tree, const std::vector<std::optional<QuantFormat>>& packed,
                      const TensorMap& tensors) {
  std::vector<std::string> missing;
  std::vector<std::string> misshapen;
  std::vector<std::string> unexpected;
  std::unordered_set<std::string> expected;
  for (const auto& [index, parameter] : tree.order) {
    const MlxModule& module = tree.modules[index];
    for (auto& stored : stored_parameters(module, parameter, packed[index])) {
      const auto found = tensors.find(stored.name);
      if (found == tensors.end()) {
        missing.push_back(fmt::format("missing {} {}", stored.name, to_string(stored.shape)));
      } else if (found->second->shape != stored.shape) {
        misshapen.push_back(fmt::format("{} is {}, the model needs {}", stored.name, to_string(found->second->shape),
                                        to_string(stored.shape)));
      }
      expected.insert(std::move(stored.name));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (!expected.contains(name))
      unexpected.push_back(fmt::format("unexpected {} {}{}", name, to_string(tensor->shape), hint_for(name)));
  }
  if (missing.empty() && misshapen.empty() && unexpected.empty()) return {};
  std::vector<std::string> details;
  add_capped(details, missing);
  add_capped(details, misshapen);
  add_capped(details, unexpected);
  return fail(
      ErrorTag::mismatch, "the checkpoint holds exactly the model's tensors",
      fmt::format("{} missing, {} misshapen, {} unexpected", missing.size(), misshapen.size(), unexpected.size()),
      "check that the download is complete and that config.json belongs to these weights; for a variant of a known "
      "model, --arch takes a spec of your own",
      std::move(details));
}

}  // namespace pippin
