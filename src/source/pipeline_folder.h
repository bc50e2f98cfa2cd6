// Repositories that hold several models which work together (a diffusers pipeline).
#pragma once

#include <filesystem>

#include "pippin/error.h"

namespace pippin {

// An error (unsupported) that names the components where the folder has a model_index.json that lists some; none where
// there is no such file or it is no JSON object.
Status check_single_model(const std::filesystem::path& folder);

}  // namespace pippin
