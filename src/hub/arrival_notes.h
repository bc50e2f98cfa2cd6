// What a conversion remembers about the files that it reads while they arrive, for the run after it.
//
// A text file in the output's unfinished folder, a line a fact; N is the file's number, ID what names its content:
//   whole N ID                 it was there whole, with the right digest
//   partial N ID GENERATION    it was read from a partial file of this generation
//   digest N ID POSITION HEX   the sha256 over its first POSITION bytes, before its end
//   wrong N ID                 all that was noted about it is void
// What a killed process wrote survives it. Lines that make no sense, or are of other contents, do not count.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "hub/disk_file.h"
#include "hub/listing.h"
#include "pippin/error.h"

namespace pippin {

struct ArrivalNote {
  bool whole = false;
  uint64_t generation = 0;                      // 0: no partial
  std::map<uint64_t, std::string> states = {};  // of the digest, by position
  bool operator==(const ArrivalNote&) const = default;
};

// One note for each of the files.
std::vector<ArrivalNote> parse_arrival_notes(std::string_view text, const std::vector<RepoFile>& files);

// Any number of threads may add lines.
class ArrivalNotes {
 public:
  // Opens the notes in the folder, or begins them anew; notes: what they said.
  Status open(const std::filesystem::path& folder, const std::vector<RepoFile>& files, bool keep,
              std::vector<ArrivalNote>& notes);
  Status whole(size_t file);
  Status partial(size_t file, uint64_t generation);
  Status digest(size_t file, uint64_t position, const std::string& state);
  Status wrong(size_t file);
  // Removes them from the disk.
  Status remove();

 private:
  Status append(size_t file, std::string_view what, const std::string& more = {});

  std::mutex mutex_;
  DiskFile file_;
  uint64_t end_ = 0;
  std::vector<std::string> ids_;
};

}  // namespace pippin
