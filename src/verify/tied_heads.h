// Output heads that a plan leaves out because the config ties them to the embedding: are they really copies of it?
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "pippin/error.h"
#include "plan/plan.h"
#include "source/checkpoint.h"

namespace pippin {

// A warning for each of plan.assumed_ties whose two tensors differ in a byte. Reads both until the first difference,
// in small blocks; `cancelled` may be null, and ends it with tag interrupted.
Result<std::vector<std::string>> differing_ties(const Plan& plan, const Checkpoint& checkpoint,
                                                const std::atomic<bool>* cancelled);

// That warning for one of them.
std::string warning_of_tie(const TensorInfo& left_out, const TensorInfo& kept);

}  // namespace pippin
