// Compares a converted model with the record of a reference run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace pippin {

// Differences in tensors (dtype, shape, digest), config.json and the index's metadata. The agreed deviations are no
// differences: a null group size is the mode's default; -d leaves no quantization entries; an output with packed layers
// says so in config.json although mlx-vlm forgets it.
std::vector<std::string> compare_with_record(const std::filesystem::path& folder, const nlohmann::ordered_json& expect,
                                             const nlohmann::ordered_json& arguments,
                                             const nlohmann::ordered_json& conformance_case);

}  // namespace pippin
