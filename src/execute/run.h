// The threads of a conversion and what they share.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "execute/block_writer.h"
#include "execute/execute.h"
#include "execute/job_blocks.h"
#include "execute/journal.h"
#include "execute/read_ahead.h"
#include "execute/shard_files.h"

namespace pippin {

// What an earlier run has done.
struct Finished {
  std::vector<bool> jobs;
  std::vector<bool> shards;
};

// The exception being handled, as an error. Only inside a catch block.
Error error_of_exception();

// Units of work are the blocks of all jobs, in the order of the output files or in that of the source. Threads take the
// next unit until none is left; the calling thread puts finished shards on the disk meanwhile.
class Run {
 public:
  Run(const Plan& plan, const Checkpoint& source, ShardFiles& files, Journal& journal, Finished finished,
      const ExecuteOptions& options, size_t threads);

  // Runs all to the end or to the first error: that of the earliest unit, whichever thread met it.
  Status run(ExecuteReport& report);

 private:
  struct JobState {
    JobBlocks blocks;
    uint64_t first_unit = 0;
    std::atomic<int64_t> unfinished{0};
  };
  struct Unit {
    size_t job;
    int64_t block;
  };
  static constexpr uint64_t no_unit = std::numeric_limits<uint64_t>::max();

  void cut_jobs(const Checkpoint& source);
  void count_shards();
  // The unit that is done as the number-th.
  [[nodiscard]] Unit unit_at(uint64_t number) const;
  void sort_units();  // into the source's order
  void end_uses(const Unit& unit);

  bool start_thread(std::vector<std::thread>& threads);
  void work();  // a thread's loop
  void work_through(BlockWriter& writer);
  Status do_unit(BlockWriter& writer, uint64_t number);
  Status finish_job(size_t job);
  void look_ahead(uint64_t number);
  void fail_at(uint64_t unit, Error error);

  void finish_shards();  // the calling thread's loop
  void show_progress(bool last);

  const Plan& plan_;
  const Checkpoint& source_;
  ShardFiles& files_;
  Journal& journal_;
  Finished finished_;
  const ExecuteOptions& options_;
  size_t threads_;
  size_t thread_bytes_;
  ReadAhead read_ahead_;

  std::deque<JobState> jobs_;
  uint64_t units_ = 0;
  std::vector<uint64_t> order_;  // of the units; empty: their own
  std::atomic<uint64_t> next_unit_{0};
  std::atomic<uint64_t> next_ahead_{0};
  std::atomic<bool> stop_{false};

  std::atomic<uint64_t> bytes_read_{0};
  std::atomic<uint64_t> bytes_written_{0};
  std::atomic<uint64_t> nonfinite_values_{0};
  uint64_t bytes_resumed_ = 0;

  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::vector<uint64_t> shard_unfinished_;  // jobs' outputs that a shard still lacks
  std::deque<uint32_t> shards_to_finish_;
  size_t working_ = 0;
  uint64_t error_unit_ = no_unit;
  std::optional<Error> error_;

  std::mutex progress_mutex_;
  std::chrono::steady_clock::time_point last_progress_;
};

}  // namespace pippin
