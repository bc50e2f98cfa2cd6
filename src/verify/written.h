// The gate every output must pass: what lies in the folder is what the plan says.
#pragma once

#include <filesystem>

#include "pippin/error.h"
#include "plan/plan.h"

namespace pippin {

// Opens again what was written and compares it with the plan: each shard is there, has its size and its header, byte
// for byte, and the header reads as the planned names, dtypes, shapes and offsets; no other *.safetensors stands
// beside them; the index names each tensor's shard; config.json is the planned one and gives each quantized module the
// format it has. The tensors' bytes are not read. An error (incomplete) lists the differences, at most 20, and counts
// them.
Status check_written(const Plan& plan, const std::filesystem::path& folder);

}  // namespace pippin
