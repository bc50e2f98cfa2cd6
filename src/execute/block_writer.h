// Computes one block of a job and writes it to its place.
#pragma once

#include <cstdint>

#include "execute/evaluator.h"
#include "execute/job_blocks.h"
#include "execute/plan_check.h"
#include "execute/shard_files.h"

namespace pippin {

// One thread's worker for blocks.
class BlockWriter {
 public:
  BlockWriter(const Plan& plan, const Checkpoint& source, ShardFiles& files, size_t thread_bytes);

  Status write_block(const Job& job, const JobBlocks& blocks, int64_t block);

  [[nodiscard]] uint64_t bytes_read() const { return evaluator_.bytes_read(); }
  [[nodiscard]] uint64_t bytes_written() const { return bytes_written_; }
  [[nodiscard]] uint64_t nonfinite_values() const { return evaluator_.nonfinite_values(); }

 private:
  Status write_quantized(const Job& job, const Box& box, int64_t first, const std::byte* values);
  // Writes `bytes`, which belong to the value's elements from `first` on, to the part's place.
  Status write_part(const PartLayout& part, int64_t first, std::span<const std::byte> bytes);

  const Plan& plan_;
  ShardFiles& files_;
  Evaluator evaluator_;
  size_t thread_bytes_;
  const Job* job_ = nullptr;  // of the last block
  uint64_t bytes_written_ = 0;
};

}  // namespace pippin
