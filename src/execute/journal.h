// Remembers which parts of a run are finished, so that a killed one can go on.
//
// A text file: a first line with the plan's digest; then for every run "boot ID", "job N" where all bytes of a job were
// written, and "shard N" where all bytes of a file are on the disk. What a killed process wrote survives it, but not a
// crash of the machine: "job" lines count only under the present boot's ID, "shard" lines always.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/error.h"

namespace pippin {

// What a journal says about a plan.
struct JournalContent {
  bool same_plan = false;
  std::vector<bool> jobs;    // finished
  std::vector<bool> shards;  // finished
  size_t valid_bytes = 0;    // up to the last whole line that makes sense
};

// Reads a journal's text. A torn last line, and everything from a senseless line on, does not count.
JournalContent read_journal(std::string_view text, std::string_view digest, std::string_view boot, size_t jobs,
                            size_t shards);

// An ID that changes when the machine starts; empty where the system has none.
std::string boot_id();

// The journal of this run; lines may be added from any number of threads.
class Journal {
 public:
  Journal() = default;
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();

  // Opens the journal for appending: keeps its first `keep_bytes` bytes, or starts it anew where that is 0.
  Status open(const std::filesystem::path& path, size_t keep_bytes, std::string_view digest, std::string_view boot);
  Status job_finished(size_t job);
  Status shard_finished(size_t shard);  // waits until the line is on the disk

 private:
  Status append(const std::string& line);

  std::mutex mutex_;
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace pippin
