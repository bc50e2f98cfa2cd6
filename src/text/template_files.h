// Where a model's chat templates stand.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/error.h"

namespace pippin {

struct TemplateFile {
  std::string name;    // "default", "tool_use"
  std::string source;  // Jinja
  std::string place;   // for messages
};

// tokenizer_config: the content of tokenizer_config.json. Empty where the folder has no template.
Result<std::vector<TemplateFile>> find_templates(const std::filesystem::path& folder,
                                                 const nlohmann::ordered_json& tokenizer_config);

}  // namespace pippin
