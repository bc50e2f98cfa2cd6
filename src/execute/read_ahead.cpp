#include "execute/read_ahead.h"

#include <algorithm>

#include "execute/recipe_leaves.h"
#include "execute/source_ranges.h"

namespace pippin {

ReadAhead::ReadAhead(const Plan& plan, const Checkpoint& source, bool release)
    : source_(source), release_(release), asked_(source.tensors().size()), users_(source.tensors().size()) {
  for (const Job& job : plan.jobs)
    for_each_tensor(*job.value, [&](const Recipe&, uint32_t tensor) { users_[tensor]++; });
}

void ReadAhead::will_compute(const Job& job, const Box& box) {
  std::vector<SourceRange> ranges;
  for_each_range(job, box, source_, [&](const SourceRange& range) { ranges.push_back(range); });
  {
    // Jobs go through a tensor from its begin, so one mark tells what was asked for before.
    const std::lock_guard lock(mutex_);
    for (SourceRange& range : ranges) {
      uint64_t& asked = asked_[range.tensor];
      range.begin = std::max(range.begin, asked);
      asked = std::max(asked, range.end);
    }
  }
  for (const SourceRange& range : ranges) {
    if (range.begin >= range.end) continue;
    const TensorInfo& info = source_.tensors()[range.tensor];
    source_.files()[info.file]->will_need(info.offset + range.begin, range.end - range.begin);
  }
}

void ReadAhead::finished(const Job& job) {
  if (!release_) return;
  std::vector<uint32_t> unused;
  {
    const std::lock_guard lock(mutex_);
    for_each_tensor(*job.value, [&](const Recipe&, uint32_t tensor) {
      if (--users_[tensor] == 0) unused.push_back(tensor);
    });
  }
  for (const uint32_t tensor : unused) {
    const TensorInfo& info = source_.tensors()[tensor];
    source_.files()[info.file]->done_with(info.offset, info.size);
  }
}

}  // namespace pippin
