// The folder a conversion writes to: a hidden sibling of the destination that becomes it when all is complete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "package/folder_lock.h"
#include "package/folder_swap.h"
#include "pippin/error.h"

namespace pippin {

struct OutputFolderOptions {
  bool overwrite = false;  // replace an earlier MLX model at the destination; see check_replaceable
  bool resume = false;     // keep the partial folder of an earlier run that was stopped
  bool flush = true;       // wait for the disk before the swap, so that a power cut cannot tear the output
  std::vector<std::filesystem::path> side_files;  // that the output will have, relative: those of an old one may go
  SwapOptions swap;
};

// While it lives no other run can have the same destination. If it goes without commit(), what was written stays for
// --resume; an empty folder is removed. Not for several threads.
class OutputFolder {
 public:
  // Checks the destination, makes its parents and the partial folder (".NAME.pippin-partial" beside it) and locks that.
  // Mends what a killed commit left. A partial folder of an earlier run is kept with resume, else emptied: only if it
  // is pippin's, that is, holds a journal or an MLX model.
  static Result<OutputFolder> prepare(const std::filesystem::path& destination, const std::filesystem::path& source,
                                      OutputFolderOptions options);

  OutputFolder(OutputFolder&& other) noexcept;
  ~OutputFolder();

  // Where to write.
  [[nodiscard]] const std::filesystem::path& path() const { return paths_.fresh; }
  [[nodiscard]] const std::filesystem::path& destination() const { return paths_.destination; }
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  // An error (no_space) where the disk cannot take `bytes` in this folder; what lies in it already counts as taken.
  [[nodiscard]] Status check_space(uint64_t bytes) const;

  // Flushes all, puts the folder in the destination's place and removes the journal, then the old output. At any moment
  // the destination is either as it was before or complete; where folders cannot be exchanged it may be missing for a
  // moment, and the next prepare() brings the old one back. After an error all is as before. Gives warnings.
  Result<std::vector<std::string>> commit();

  // Removes what an earlier run left in the folder, which then is of no use.
  [[nodiscard]] Status empty() const;

  // Removes what was written.
  Status discard();

 private:
  OutputFolder(SwapPaths paths, FolderLock lock, OutputFolderOptions options)
      : paths_(std::move(paths)), lock_(std::move(lock)), options_(std::move(options)) {}

  Status take_over_partial();

  SwapPaths paths_;
  std::optional<FolderLock> lock_;  // nothing after commit() or discard()
  OutputFolderOptions options_;
  std::vector<std::string> warnings_;
};

}  // namespace pippin
