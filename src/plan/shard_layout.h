// Where each tensor of the output goes: the cut into shards and the offsets.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace pippin {

// Cuts plan.outputs, in their order, into shards of at most `limit` bytes of tensors (a larger tensor has one of its
// own), as the reference does; names and headers the files and sets the outputs' shard and offset.
void lay_out_shards(Plan& plan, uint64_t limit, const std::map<std::string, std::string>& metadata);

}  // namespace pippin
