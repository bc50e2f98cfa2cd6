// Where a checkpoint's tensors went.
#pragma once

#include <string>
#include <vector>

#include "plan/loaded_model.h"
#include "source/checkpoint.h"

namespace pippin {

// The checkpoint's tensors that no parameter of the model is made from. Sorted by name.
std::vector<std::string> left_out_tensors(const Checkpoint& checkpoint, const LoadedModel& model);

}  // namespace pippin
