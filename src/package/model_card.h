// README.md of an output: the source's front matter with what has changed, and what was done, in figures.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "package/side_files.h"
#include "plan/plan.h"

namespace pippin {

struct CardOptions {
  std::string title;                 // the output's name, as in "--model NAME"
  std::string source_repo;           // "org/name"; empty where it is not known
  std::vector<std::string> command;  // the exact arguments, with the program first
};

struct ModelCard {
  std::string text;
  std::vector<std::string> warnings;  // a front matter that could not be kept
};

// Front matter: the source's with library_name mlx, tag mlx, base_model where the source's id is known, and
// pipeline_tag: text-generation for mlx-lm; for mlx-vlm the source's, or image-text-to-text. All else is kept; nothing
// is invented. source_readme may be empty.
ModelCard model_card(const Plan& plan, const SideFiles& side_files, std::string_view source_readme,
                     const CardOptions& options);

// "org/name" from a folder in a Hugging Face cache (.../models--org--name/snapshots/...), else empty.
std::string repo_of_cache_path(const std::filesystem::path& folder);

// Arguments as one line that a POSIX shell reads back as they are.
std::string shell_line(const std::vector<std::string>& arguments);

// A config's quantization in words: "4 bits, group size 64, affine; 2 modules with 8 bits, group size 64, affine; 1
// module not quantized". "none" where there is none.
std::string quantization_text(const nlohmann::ordered_json& config);

}  // namespace pippin
