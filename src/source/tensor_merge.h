// Joins the tensors of all weight files into one list and holds it against the index.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "pippin/error.h"
#include "source/checkpoint.h"
#include "source/weight_files.h"

namespace pippin {

// One tensor of each name, sorted by name. tensors: all of `files`, which are those of `chosen`, in any order.
// A name in several files: the index decides; where it does not, the bytes are read and must be the same (mismatch).
// A tensor that is not in the file that the index names is an error (mismatch). Oddities are added to `warnings`.
Result<std::vector<TensorInfo>> merge_tensors(std::vector<TensorInfo> tensors, const std::filesystem::path& folder,
                                              const WeightFiles& chosen,
                                              const std::vector<std::unique_ptr<ByteSource>>& files,
                                              std::vector<std::string>& warnings);

}  // namespace pippin
