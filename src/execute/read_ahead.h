// Tells the source what will be read soon and what will not be read again.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "execute/box.h"
#include "plan/plan.h"
#include "source/checkpoint.h"

namespace pippin {

// All functions may be called from any number of threads.
class ReadAhead {
 public:
  ReadAhead(const Plan& plan, const Checkpoint& source, bool release);

  // `box` of the job's value will be computed soon.
  void will_compute(const Job& job, const Box& box);

  // The job is finished. Tensors that no other job needs are given back to the system, if `release` was set.
  void finished(const Job& job);

 private:
  const Checkpoint& source_;
  bool release_;
  std::mutex mutex_;
  std::vector<uint64_t> asked_;  // of each tensor: bytes from its begin that were asked for
  std::vector<uint32_t> users_;  // of each tensor: uses in unfinished jobs
};

}  // namespace pippin
