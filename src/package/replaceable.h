// Whether a folder may be replaced by a new output: only where all in it belongs to an MLX model.
#pragma once

#include <filesystem>
#include <span>

#include "pippin/error.h"

namespace pippin {

// Fine where the folder holds a model in MLX format and nothing else: config.json or weights; *.safetensors whose
// metadata says "format": "mlx" (a download in another format may be somebody's only copy); index, card, tokenizer and
// licence files by their known names; and the files named in also_allowed, relative to the folder: those that the new
// output brings too. A journal and .DS_Store do not matter. Anything else is an error (destination) that lists it.
Status check_replaceable(const std::filesystem::path& folder, std::span<const std::filesystem::path> also_allowed);

}  // namespace pippin
