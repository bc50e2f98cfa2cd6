#include "package/config_files.h"

#include <map>

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

// UTF-8 sorts by bytes as Python sorts text by code points.
Json sorted_by_key(const Json& object) {
  std::map<std::string, const Json*> members;
  for (auto member = object.begin(); member != object.end(); ++member) members.emplace(member.key(), &*member);
  Json sorted = Json::object();
  for (const auto& [key, value] : members) sorted.push_back({key, *value});
  return sorted;
}

}  // namespace

std::string config_text(const Plan& plan, NonfiniteForm form) {
  return python_json(sorted_by_key(plan.config), form);
}

NonfiniteForm nonfinite_form(std::string_view target, std::string_view source_config_text) {
  const bool source_has_tags = source_config_text.find("\"__float__\"") != std::string_view::npos;
  return target == "mlx-vlm" && !source_has_tags ? NonfiniteForm::literal : NonfiniteForm::tagged;
}

std::string index_text(const Plan& plan) {
  std::map<std::string, std::string> weight_map;
  for (const auto& tensor : plan.outputs) weight_map.emplace(tensor.name, plan.shards[tensor.shard].file);
  const Json index = {{"metadata", plan.index_metadata}, {"weight_map", weight_map}};
  return python_json(index, NonfiniteForm::tagged);
}

}  // namespace pippin
