// Runs a Plan: reads source blocks ahead, computes on all threads, writes at the planned offsets.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "pippin/error.h"
#include "plan/journal_file.h"
#include "plan/plan.h"
#include "source/checkpoint.h"

namespace pippin {

struct ExecuteOptions {
  int threads = 0;      // 0: one a processor
  bool resume = false;  // go on from the journal in the folder, if it is of the same plan
  // Takes the blocks in the order in which their last source byte stands in the source's files, and announces to the
  // files which ranges will be used and when each use has ended: for sources that arrive from begin to end.
  bool in_source_order = false;
  // Whether what an earlier run made of a job counts; null: of all. What does not is done again.
  std::function<bool(size_t job)> trusted = nullptr;
  const std::atomic<bool>* cancelled = nullptr;  // checked between blocks; true ends with tag interrupted
  // Called from one thread at a time, at most about 20 times a second and once at the end. bytes_written counts what an
  // earlier run finished, too, and ends at the size of all outputs; bytes_read is of this run, rereads counted.
  std::function<void(uint64_t bytes_read, uint64_t bytes_written)> progress;
};

struct ExecuteReport {
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t nonfinite_values = 0;  // only with Plan::allow_nonfinite, else they are an error
  uint64_t jobs_resumed = 0;      // finished by an earlier run
  std::vector<std::string> warnings;
};

// Whether the folder has the journal of an earlier run of this very plan, which can be gone on with.
bool can_resume(const Plan& plan, const Checkpoint& source, const std::filesystem::path& folder);

// Writes all shards of the plan into `folder`, which exists. What it has finished stands in a journal there
// (journal_file), so that a killed run can be resumed. Peak memory: plan.memory_budget and a few MB.
Result<ExecuteReport> execute(const Plan& plan, const Checkpoint& source, const std::filesystem::path& folder,
                              const ExecuteOptions& options);

}  // namespace pippin
