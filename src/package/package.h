// Writes what stands around the shards: config.json, the index, side files and the model card.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "package/model_card.h"
#include "package/side_files.h"
#include "pippin/error.h"
#include "plan/plan.h"
#include "source/checkpoint.h"

namespace pippin {

struct PackageReport {
  std::vector<std::string> files;     // written, relative to the folder, sorted
  std::vector<std::string> warnings;  // for the user
};

// side_files: find_side_files of the source, asked before the weights are converted, so that its errors come early.
// Replaces files of the same names in `folder`. Where options.source_repo is empty, it is taken from the source's path.
Result<PackageReport> write_package(const Plan& plan, const Checkpoint& source, const SideFiles& side_files,
                                    const std::filesystem::path& folder, CardOptions options);

}  // namespace pippin
