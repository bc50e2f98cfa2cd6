// Keeps two runs from writing to the same folder.
#pragma once

#include <filesystem>

#include "package/disk.h"

namespace pippin {

// Held until the object goes, or the process dies. The lock is on the folder itself and follows it through renames.
class FolderLock {
 public:
  // Locks an existing folder. An error (destination) where another run has it, or another process of this run.
  // File systems without locks are taken as they are: two runs on them are not kept apart.
  static Result<FolderLock> acquire(const std::filesystem::path& folder);

 private:
  explicit FolderLock(FileDescriptor folder) : folder_(std::move(folder)) {}
  FileDescriptor folder_;
};

}  // namespace pippin
