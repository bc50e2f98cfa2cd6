// Cuts a job's value into blocks that one thread computes at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "execute/box.h"
#include "plan/plan.h"
#include "source/checkpoint.h"

namespace pippin {

// Blocks are boxes, each contiguous in row-major order; together they are the value. A quantized value's blocks are
// whole rows, or whole groups of one row.
struct JobBlocks {
  Shape shape;
  int axis = 0;             // along which the value is cut, for fixed places of the axes before it
  int64_t steps = 0;        // along that axis in a block; fewer in the last
  int64_t count = 0;        // of blocks; 0 for a value without elements
  size_t buffer_limit = 0;  // for the evaluator, so that a thread stays within its memory

  [[nodiscard]] Box box(int64_t block) const;
};

// Chooses blocks of about the size that the second-level cache holds; larger ones where the source would otherwise be
// read in short runs (a transpose), as far as thread_bytes allows.
JobBlocks cut_job(const Job& job, const Checkpoint& source, size_t thread_bytes);

}  // namespace pippin
