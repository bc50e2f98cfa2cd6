// The text of config.json and model.safetensors.index.json of an output.
#pragma once

#include <string>
#include <string_view>

#include "package/python_json.h"
#include "plan/plan.h"

namespace pippin {

// config.json as the target's converter writes it: top-level keys sorted, nested order kept, indent 4.
std::string config_text(const Plan& plan, NonfiniteForm form);

// How the target writes NaN and infinity. mlx-lm always tags them; mlx-vlm writes back what it read, which only the
// source's own config.json can tell.
NonfiniteForm nonfinite_form(std::string_view target, std::string_view source_config_text);

// model.safetensors.index.json: {"metadata": ..., "weight_map": {tensor: file}}, names sorted. Both targets write it
// even where there is one file.
std::string index_text(const Plan& plan);

inline constexpr const char* config_file = "config.json";
inline constexpr const char* index_file = "model.safetensors.index.json";
inline constexpr const char* card_file = "README.md";

}  // namespace pippin
