#include "source/pipeline_folder.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "source/json_text.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

constexpr size_t listed = 12;  // components in a message

// A component is a pair of library and class, in a folder of its name.
std::vector<std::string> components_of(const nlohmann::ordered_json& index) {
  std::vector<std::string> components;
  for (const auto& [key, value] : index.items()) {
    const bool is_pair = value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string();
    if (is_pair && components.size() < listed)
      components.push_back(fmt::format("{} ({})", printable(key), printable(value[1].get_ref<const std::string&>())));
  }
  return components;
}

}  // namespace

Status check_single_model(const fs::path& folder) {
  const fs::path path = folder / "model_index.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  const auto index = read_json(path);
  if (!index || !index->is_object()) return {};
  const std::vector<std::string> components = components_of(*index);
  if (components.empty()) return {};
  const auto name = index->find("_class_name");
  const bool named = name != index->end() && name->is_string();
  return fail(
      ErrorTag::unsupported, "one model is converted at a time",
      fmt::format("{} is a pipeline of several models{}: {}", folder.string(),
                  named ? fmt::format(" ({})", printable(name->get_ref<const std::string&>())) : "",
                  fmt::join(components, ", ")),
      "give the folder of one of them, if it is a model that pippin knows; neither mlx-lm nor mlx-vlm converts a "
      "whole pipeline");
}

}  // namespace pippin
