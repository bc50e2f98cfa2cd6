// The output files of a run.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "pippin/error.h"
#include "plan/plan.h"

namespace pippin {

// Files of their final size, written at any offset from any number of threads. A file is open from its first write to
// its finish, so that hundreds of shards do not run out of descriptors.
class ShardFiles {
 public:
  ShardFiles(const std::vector<Shard>& shards, const std::filesystem::path& folder);
  ShardFiles(const ShardFiles&) = delete;
  ShardFiles& operator=(const ShardFiles&) = delete;
  ~ShardFiles();

  // Creates the files, or with `keep` takes those that are there, gives them their size and disk space, and writes the
  // headers. Errors: no_space before anything is written; destination where the folder cannot be written.
  Status create(bool keep);

  Status write(uint32_t shard, uint64_t offset, std::span<const std::byte> bytes);

  // Has the system begin to put on the disk what was written so far, so that finish() does not wait for all of it.
  // Not while finish() runs.
  void begin_to_flush();

  // Waits until the file's bytes are on the disk, and closes it. No write may follow.
  Status finish(uint32_t shard);

  // Whether the file is there with its planned size and header; for resuming.
  [[nodiscard]] bool is_intact(uint32_t shard) const;

 private:
  struct File {
    std::string path;
    std::atomic<int> descriptor{-1};
    std::atomic<uint64_t> unflushed{0};  // bytes
  };
  Status create_one(uint32_t shard, bool keep);
  [[nodiscard]] Status check_space() const;
  Result<int> descriptor_of(uint32_t shard);

  const std::vector<Shard>& shards_;
  std::filesystem::path folder_;
  std::deque<File> files_;
  std::mutex opening_;
};

}  // namespace pippin
