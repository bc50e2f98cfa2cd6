// Reads parts of source tensors in few, long reads.
#pragma once

#include <cstdint>
#include <functional>

#include "execute/box.h"
#include "execute/scratch.h"
#include "source/checkpoint.h"

namespace pippin {

// How a box of a tensor is read: `reads` reads of about `read_bytes` bytes each.
struct ReadCost {
  int64_t reads = 0;
  int64_t read_bytes = 0;
};
ReadCost cost_of_reading(const TensorInfo& tensor, const Box& box);

// Fills `out` with the box, row-major. Runs that lie close together are read as one piece and picked from it.
// Adds the bytes read to bytes_read.
Status read_box(const Checkpoint& checkpoint, const TensorInfo& tensor, const Box& box, std::byte* out,
                Scratch& scratch, uint64_t& bytes_read);

}  // namespace pippin
