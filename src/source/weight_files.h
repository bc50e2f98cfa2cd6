// Decides which files of a folder hold the model's weights.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "pippin/error.h"
#include "source/checkpoint.h"
#include "source/weight_index.h"

namespace pippin {

struct WeightFiles {
  std::vector<std::string> names;    // relative to the folder, sorted
  std::optional<WeightIndex> index;  // restricted to `names`; nothing where there is none
  // Set where none of the files that the index names is there, but others are. They count if they hold all of the
  // index's tensors, which takes their headers to know.
  std::optional<WeightIndex> stale_index;
  std::vector<std::string> warnings;
};

// Looks at names only. No weights at all, or files that the index names and that are missing, are errors (not_found).
Result<WeightFiles> choose_weight_files(const std::filesystem::path& folder, FileSelection selection);

// The error that lists the missing ones of the files of an index. present: what the folder holds instead.
Error error_of_missing_files(const std::filesystem::path& folder, const std::vector<std::string>& missing, size_t named,
                             const std::vector<std::string>& present);

}  // namespace pippin
