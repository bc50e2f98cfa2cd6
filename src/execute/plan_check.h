// Whether a plan can be run as it stands.
#pragma once

#include "pippin/error.h"
#include "plan/plan.h"
#include "source/checkpoint.h"

namespace pippin {

// Jobs fit their outputs, outputs lie inside their shards, recipes fit the checkpoint's tensors. What is wrong here is
// a mistake of the planner, or a plan of another checkpoint: tag mismatch; unsupported for more than max_rank axes.
Status check_plan(const Plan& plan, const Checkpoint& source);

// Bytes of a job's outputs, in their order, a value's element or group at a time.
struct PartLayout {
  uint32_t output;
  DType dtype;
  // `bytes` bytes of the part belong to every `elements` elements of the value.
  int64_t elements;
  int64_t bytes;
};
// One part for a plain value; weight, scales and, in affine mode, biases for a quantized one.
std::vector<PartLayout> parts_of(const Job& job);

}  // namespace pippin
