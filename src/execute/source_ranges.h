// Which bytes of the source a block of a job is made of.
#pragma once

#include <cstdint>
#include <functional>

#include "execute/box.h"
#include "plan/plan.h"
#include "source/checkpoint.h"

namespace pippin {

// Bytes of a tensor, counted from its begin; begin < end.
struct SourceRange {
  uint32_t tensor;
  uint64_t begin, end;
};

// Calls visit for every use of a source tensor by `box` of the job's value: from the first byte that is needed to the
// last, whatever lies between. The same box gives the same ranges.
void for_each_range(const Job& job, const Box& box, const Checkpoint& source,
                    const std::function<void(const SourceRange&)>& visit);

}  // namespace pippin
