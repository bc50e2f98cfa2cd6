// The shards' part of check_written.
#pragma once

#include <filesystem>

#include "plan/plan.h"
#include "verify/differences.h"

namespace pippin {

void compare_shards(const Plan& plan, const std::filesystem::path& folder, Differences& differences);

}  // namespace pippin
